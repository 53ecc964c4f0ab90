"""Tensors for requests of any signature, and their three ways onto the wire: JSON, bytes, protobuf fields."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.checks import Failed, expect, shown

Array = npt.NDArray[Any]

DATATYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
FLOATS = ("FP16", "FP32", "FP64")
INTEGERS = tuple(name for name in DATATYPES if "INT" in name)


@dataclass(frozen=True)
class Spec:
    """An input or output as the metadata describes it; -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def varies(self) -> bool:
        """Whether the first dimension, the rows, may have any size."""
        return self.shape[:1] == (-1,)

    def sized(self, rows: int) -> tuple[int, ...]:
        """A shape that fits: `rows` rows where that is free, 2 in every other free dimension."""
        free = [rows, *[2] * len(self.shape)]
        return tuple(free[index] if size == -1 else size for index, size in enumerate(self.shape))

    def admits(self, shape: Sequence[int]) -> bool:
        return len(shape) == len(self.shape) and all(
            want in {-1, got} for want, got in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True)
class Tensor:
    """Values for one input, or of one output; BYTES elements are bytes objects."""

    name: str
    datatype: str
    values: Array

    @property
    def shape(self) -> list[int]:
        return list(self.values.shape)

    def entry(self, *, nested: bool = False, **more: Any) -> dict[str, Any]:
        """The JSON object of this input."""
        return {**self.described(), "data": self.elements(nested=nested), **more}

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "shape": self.shape, "datatype": self.datatype}

    def elements(self, *, nested: bool = False) -> list[Any]:
        values = self.values if nested else self.values.ravel()
        found = _decoded(values.tolist()) if self.datatype == "BYTES" else values.tolist()
        return list(found)

    def content(self) -> bytes:
        """The bytes of this tensor as the binary extension and gRPC's raw contents want them."""
        if self.datatype == "BYTES":
            elements = [bytes(element) for element in self.values.ravel()]
            return b"".join(len(each).to_bytes(4, "little") + each for each in elements)
        return np.ascontiguousarray(self.values, self.values.dtype.newbyteorder("<")).tobytes()

    def rows(self, count: int) -> "Tensor":
        """The same rows again and again until there are `count`."""
        wanted = np.resize(self.values, (count, *self.values.shape[1:]))
        return Tensor(self.name, self.datatype, wanted)

    def reversed(self) -> "Tensor":
        return Tensor(self.name, self.datatype, self.values[::-1])


def _decoded(values: Any) -> Any:
    if isinstance(values, list):
        return [_decoded(value) for value in values]
    return values.decode()


def sample(spec: Spec, rows: int) -> Tensor:
    """Plain values that differ from row to row and stay the same from call to call."""
    shape = spec.sized(rows)
    count = prod(shape)
    if spec.datatype == "BYTES":
        texts = np.array([f"v{index % 5}".encode() for index in range(count)], dtype=np.object_)
        return Tensor(spec.name, spec.datatype, texts.reshape(shape))
    numbers: Array = (np.arange(count) * 7 + 3) % 11
    if spec.datatype in FLOATS:
        numbers = numbers / 4 - 1
    elif spec.datatype == "BOOL":
        numbers = numbers % 2
    return Tensor(spec.name, spec.datatype, numbers.astype(DATATYPES[spec.datatype]).reshape(shape))


def from_bytes(data: bytes, datatype: str, shape: Sequence[int]) -> Array:
    """The values that these bytes are; fails when they are too few or too many."""
    if datatype == "BYTES":
        elements = list(_split(data))
        expect(
            len(elements) == prod(shape), f"{len(elements)} BYTES elements do not fill shape {list(shape)}"
        )
        values = np.empty(len(elements), dtype=np.object_)
        values[:] = elements
        return values.reshape(shape)
    dtype = np.dtype(DATATYPES[datatype]).newbyteorder("<")
    wanted = prod(shape) * dtype.itemsize
    expect(len(data) == wanted, f"{len(data)} bytes for {datatype} {list(shape)}, which takes {wanted}")
    return np.frombuffer(data, dtype).reshape(shape)


def _split(data: bytes) -> Iterable[bytes]:
    start = 0
    while start < len(data):
        size = int.from_bytes(data[start : start + 4], "little")
        start += 4 + size
        expect(start <= len(data), "a BYTES element is longer than the tensor")
        yield data[start - size : start]


def from_json(data: object, datatype: str, shape: Sequence[int]) -> Array:
    """The values of a JSON output, which may be nested or flat; null is a missing number."""
    flat = _flat(data)
    expect(len(flat) == prod(shape), f"{len(flat)} elements do not fill shape {list(shape)}")
    _expect_kinds(flat, datatype)
    if datatype == "BYTES":
        values = np.empty(len(flat), dtype=np.object_)
        values[:] = [element.encode() for element in flat]
        return values.reshape(shape)
    if datatype in FLOATS:
        flat = [float("nan") if element is None else element for element in flat]
    return np.array(flat, dtype=DATATYPES[datatype]).reshape(shape)


def _flat(data: object) -> list[Any]:
    if not isinstance(data, list):
        raise Failed(f"data is no list: {shown(json.dumps(data))}")
    level: list[Any] = data
    while any(isinstance(element, list) for element in level):
        expect(all(isinstance(element, list) for element in level), "data is neither flat nor nested evenly")
        level = [element for part in level for element in part]
    return level


def _expect_kinds(flat: list[Any], datatype: str) -> None:
    kinds: dict[str, tuple[type, ...]] = {"BOOL": (bool,), "BYTES": (str,)}
    allowed = kinds.get(datatype, (int, float, type(None)) if datatype in FLOATS else (int,))
    wrong = [element for element in flat if type(element) not in allowed]
    expect(not wrong, f"{shown(json.dumps(wrong[:1]))} is no element of {datatype}")


def same(one: Array, other: Array) -> bool:
    """Equal labels; numbers within what batching and text change."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        tolerance = 1e-3 if one.dtype == np.float16 else 1e-5
        return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(np.array_equal(one, other))
