"""The inputs that are kept beside this module: one file per layer, one input per line, as Python writes bytes."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
# Lines above this one are written by hand and stay: each input once did something wrong.
_MARK = "# Everything below shows something that the server does; written by `make fuzz ARGS=--save`."


def read(layer: str) -> list[bytes]:
    """All inputs of a layer."""
    lines = _path(layer).read_text(encoding="ascii").splitlines()
    return [_input(line) for line in lines if not line.startswith("#")]


def save(layer: str, inputs: Iterable[bytes]) -> Path:
    """Replaces all inputs but those kept by hand; gives the file."""
    path = _path(layer)
    kept, *_ = path.read_text(encoding="ascii").partition(_MARK) if path.exists() else ("",)
    path.write_text(f"{kept}{_MARK}\n" + "".join(f"{data!r}\n" for data in sorted(inputs)), encoding="ascii")
    return path


def _input(line: str) -> bytes:
    data = literal_eval(line)
    if not isinstance(data, bytes):
        raise TypeError(f"no input: {line}")
    return data


def _path(layer: str) -> Path:
    return FOLDER / f"{layer}.txt"
