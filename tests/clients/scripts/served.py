"""What the programs share: which models are served where, what ONNX Runtime answers, and how results are compared."""

import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

VARIABLE = "MODELWRIGHT_SERVED"
TOLERANCE = 1e-6
Error = TypeVar("Error", bound=Exception)
Arrays = dict[str, np.ndarray[Any, Any]]
DATATYPES = {
    "?": "BOOL",
    "e": "FP16",
    "f": "FP32",
    "d": "FP64",
    "O": "BYTES",
    **{kind: f"UINT{size}" for kind, size in zip("BHIL", (8, 16, 32, 64), strict=True)},
    **{kind: f"INT{size}" for kind, size in zip("bhil", (8, 16, 32, 64), strict=True)},
}


@dataclass(frozen=True)
class Model:
    """A served model, rows for it, and ONNX Runtime's answer to them; texts are str."""

    http: str
    grpc: str
    name: str
    version: str
    inputs: Arrays
    outputs: Arrays

    def compare(self, found: Mapping[str, Any], names: Iterable[str] | None = None) -> None:
        """AssertionError unless these are the answers of ONNX Runtime: all, or those that were asked for."""
        wanted = self.outputs if names is None else {name: self.outputs[name] for name in names}
        np.testing.assert_equal(sorted(found), sorted(wanted))
        for name, expected in wanted.items():
            _compare(name, np.asarray(found[name]), expected)


def _compare(name: str, found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    np.testing.assert_equal(found.shape, expected.shape, f"the shape of {name}")
    if expected.dtype == object:
        texts = [value.decode() if isinstance(value, bytes) else value for value in found.ravel().tolist()]
        np.testing.assert_equal(texts, expected.ravel().tolist(), name)
    elif expected.dtype.kind == "f":
        np.testing.assert_equal(found.dtype.kind, "f", f"the type of {name}")
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)
    else:
        np.testing.assert_array_equal(found, expected, name)


def datatype(array: np.ndarray[Any, Any]) -> str:
    """The protocol's name of an array's type."""
    return DATATYPES[array.dtype.char]


def served(which: str) -> Model:
    """The model of this name, as the test that started the servers has written it down."""
    known = json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8"))[which]
    with np.load(known["samples"]) as samples:
        arrays = {key: _with_texts(samples[key]) for key in samples.files}
    parts = {
        part: {key.removeprefix(f"{part}:"): array for key, array in arrays.items() if key.startswith(part)}
        for part in ("inputs", "outputs")
    }
    return Model(known["http"], known["grpc"], known["name"], known["version"], **parts)


def save(path: Path, inputs: Arrays, outputs: Arrays) -> None:
    """Write what `served` reads; texts as NumPy's own, since files hold no objects."""
    parts = (("inputs", inputs), ("outputs", outputs))
    arrays = {f"{part}:{name}": array for part, found in parts for name, array in found.items()}
    plain = {key: array.astype(str) if array.dtype == object else array for key, array in arrays.items()}
    np.savez(path, allow_pickle=False, **plain)


def _with_texts(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.astype(object) if array.dtype.kind == "U" else array


async def refusal(kind: type[Error], call: Callable[[], Awaitable[object]]) -> Error:
    """The error with which a call fails."""
    try:
        answer = await call()
    except kind as error:
        return error
    raise AssertionError(f"the server was expected to refuse, but answered {answer}")


def contains(text: str, part: str) -> None:
    """AssertionError unless one text is part of the other."""
    if part not in text:
        raise AssertionError(f"{text!r} does not say {part!r}")


ALL = ("matrix", "columns", "datatypes")
