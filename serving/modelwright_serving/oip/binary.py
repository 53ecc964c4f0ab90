"""The binary tensor extension: one tensor to and from little-endian bytes. Where the bytes lie is left to `request`."""

import sys
from math import prod
from struct import Struct

import numpy as np

from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.signature import NUMPY_TYPES
from modelwright_serving.oip.tensors import Packed, Part, Tensor

if sys.byteorder != "little":  # pragma: no cover
    raise ImportError(
        "the binary tensor extension is little-endian, and so is every platform of ONNX Runtime"
    )

_LENGTH = Struct("<I")


def from_bytes(raw: memoryview, datatype: str, shape: list[int]) -> Part:
    """The tensor in `raw`."""
    count = prod(shape)
    if datatype == "BYTES":
        return np.array(_texts(raw, count), dtype=np.object_).reshape(shape)
    dtype = NUMPY_TYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        raise OipError(
            f"{len(raw)} bytes of binary data, but shape {shape} of {datatype} needs {count * dtype.itemsize}"
        )
    if datatype == "BOOL":
        return np.frombuffer(raw, np.uint8).astype(np.bool_).reshape(shape)
    return Packed(raw, shape)


def to_bytes(tensor: Tensor) -> bytes:
    """The tensor's elements, little-endian, row by row."""
    if tensor.dtype != np.object_:
        return tensor.tobytes()
    encoded = [str(text).encode() for text in tensor.reshape(-1)]
    return b"".join(part for text in encoded for part in (_LENGTH.pack(len(text)), text))


def _texts(raw: memoryview, count: int) -> list[str]:
    texts: list[str] = []
    offset = 0
    while offset < len(raw):
        if len(texts) == count:
            raise OipError(f"the binary data holds more than the {count} strings of its shape")
        text, offset = _text(raw, offset)
        texts.append(text)
    if len(texts) != count:
        raise OipError(f"the binary data holds {len(texts)} strings, but the shape needs {count}")
    return texts


def _text(raw: memoryview, offset: int) -> tuple[str, int]:
    start = offset + _LENGTH.size
    if start > len(raw):
        raise OipError("the binary data ends within the length of a string")
    end = start + _LENGTH.unpack_from(raw, offset)[0]
    if end > len(raw):
        raise OipError("the binary data ends within a string")
    try:
        return str(raw[start:end], "utf-8"), end
    except UnicodeDecodeError:
        raise OipError(
            "the binary data holds a string that is not UTF-8, which the model cannot read"
        ) from None


class Tail:
    """The binary part of a body, taken piece by piece in the order of the inputs."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = raw
        self._taken = 0

    def take(self, size: int) -> memoryview:
        end = self._taken + size
        if end > len(self._raw):
            raise OipError(
                f"binary_data_size is {size}, but only {len(self._raw) - self._taken} bytes are left in the body"
            )
        piece = self._raw[self._taken : end]
        self._taken = end
        return piece

    def expect_empty(self) -> None:
        if self._taken != len(self._raw):
            raise OipError(
                f"{len(self._raw) - self._taken} bytes of the body belong to no input: check binary_data_size"
            )
