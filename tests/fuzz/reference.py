"""What a request holds and a model gives, by json, NumPy and ONNX Runtime alone: the server has no part in it.

It judges nothing: of a request that the server takes, it says what the answer has to be.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime import InferenceSession, SessionOptions

Array = npt.NDArray[Any]
_KINDS: dict[str, Any] = {
    "tensor(bool)": np.bool_,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(string)": np.object_,
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class Reference:
    """A model, and how requests for it are read."""

    def __init__(self, content: bytes) -> None:
        options = SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        self._session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._inputs = {found.name: np.dtype(_KINDS[found.type]) for found in self._session.get_inputs()}
        self._outputs = [found.name for found in self._session.get_outputs()]

    def run(self, tensors: dict[str, Array]) -> dict[str, Array]:
        """The outputs by name; whatever ONNX Runtime raises if it refuses."""
        return dict(zip(self._outputs, self._session.run(self._outputs, tensors), strict=True))

    def tensors(self, body: bytes, header_length: int | None, features: tuple[str, ...]) -> dict[str, Array]:
        """The inputs by name, of a request that is valid."""
        if header_length == 0:
            ((name, kind),) = self._inputs.items()
            return {name: self._raw(kind, body)}
        document = json.loads(body[:header_length])
        if "inputs" not in document:
            return self._records(document["records"], features)
        rest = memoryview(body)[len(body) if header_length is None else header_length :]
        found: dict[str, Array] = {}
        for tensor in document["inputs"]:
            kind = self._inputs[tensor["name"]]
            parameters = tensor.get("parameters")
            size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
            values = _values(tensor["data"], kind) if size is None else unpacked(bytes(rest[:size]), kind)
            rest = rest[size or 0 :]
            found[tensor["name"]] = values.reshape(tensor["shape"])
        return found

    def _raw(self, kind: np.dtype[Any], body: bytes) -> Array:
        shape = [
            size if isinstance(size, int) and size > 0 else -1 for size in self._session.get_inputs()[0].shape
        ]
        return unpacked(body, kind).reshape(shape)

    def _records(self, records: list[dict[str, Any]], features: tuple[str, ...]) -> dict[str, Array]:
        if len(self._inputs) == 1:
            ((name, kind),) = self._inputs.items()
            rows = [[record.get(feature) for feature in features] for record in records]
            return {name: _values(rows, kind).reshape(self._shape(name, len(records), len(features)))}
        return {
            name: _values([record.get(name) for record in records], kind).reshape(
                self._shape(name, len(records), 1)
            )
            for name, kind in self._inputs.items()
        }

    def _shape(self, name: str, rows: int, width: int) -> tuple[int, ...]:
        ranks = {found.name: len(found.shape) for found in self._session.get_inputs()}
        return (rows, width) if ranks[name] == 2 else (rows * width,)


def _values(data: Any, kind: np.dtype[Any]) -> Array:
    flat = list(_flat(data))
    if kind == np.object_:
        return np.array(["" if value is None else value for value in flat], np.object_)
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return np.array([np.nan if value is None else float(value) for value in flat]).astype(kind)
    return np.array([int(value) for value in flat], kind)


def _flat(data: Any) -> Any:
    for value in data:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def unpacked(blob: bytes, kind: np.dtype[Any]) -> Array:
    """Elements from the binary form."""
    if kind == np.bool_:
        return np.frombuffer(blob, np.uint8).astype(np.bool_)
    if kind != np.object_:
        return np.frombuffer(blob, kind)
    texts, at = [], 0
    while at < len(blob):
        (size,) = struct.unpack_from("<I", blob, at)
        texts.append(blob[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return np.array(texts, np.object_)
