"""The `data` of one JSON tensor to its elements, and elements to arrays. Which tensor it is, is left to `request`."""

from array import array
from collections.abc import Sequence
from itertools import chain
from math import nan
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.signature import TYPECODES

Tensor = npt.NDArray[Any]


class Packed:
    """A tensor's elements as bytes in the model's own type, row by row.

    Most requests are one short row and run together: joining bytes and making one array of them costs a tenth
    of making an array of each.
    """

    __slots__ = ("data", "shape")

    def __init__(self, data: "array[Any] | bytes | memoryview", shape: Sequence[int]) -> None:
        self.data = data
        self.shape = shape


Part: TypeAlias = Tensor | Packed


# Bytes of a string of a tensor, beside its characters.
_STRING = 64


def footprint(part: Part) -> int:
    """About the bytes that decoded elements take beside the request that they come from."""
    if isinstance(part, Packed):
        return 0 if isinstance(part.data, memoryview) else memoryview(part.data).nbytes
    return _STRING * part.size if part.dtype.hasobject else part.nbytes


def stack(dtype: np.dtype[Any], parts: Sequence[Part], rows: int) -> Tensor:
    """All rows of the parts, which differ in nothing but the number of rows, as one tensor."""
    if len(parts) == 1:
        return unpack(dtype, parts[0])
    if dtype.hasobject:
        return np.concatenate([unpack(dtype, part) for part in parts])
    joined = b"".join([part.data for part in parts])
    return np.frombuffer(joined, dtype).reshape(rows, *parts[0].shape[1:])


def unpack(dtype: np.dtype[Any], part: Part) -> Tensor:
    """The part as an array."""
    if isinstance(part, Packed):
        # What lies in the middle of a request need not be aligned as ONNX Runtime wants it.
        data = bytes(part.data) if isinstance(part.data, memoryview) else part.data
        return np.frombuffer(data, dtype).reshape(part.shape)
    return part


def from_json(data: object, datatype: str, shape: list[int], count: int, *, booleans: bool = True) -> Part:
    """The tensor of `count` elements that `data` (flat, or nested exactly as `shape` says) describes.

    `booleans` is False when the caller knows that the document holds none, which spares looking for them.
    """
    flat = _flatten(data, shape, count)
    typecode = TYPECODES.get(datatype)
    if typecode is None:
        return _RARE[datatype](flat).reshape(shape)
    if booleans and bool in set(map(type, flat)):
        raise OipError(f"data holds a boolean, where {datatype} needs numbers")
    try:
        # array refuses what NumPy would bend: text for numbers, fractions and gaps for integers, out of range.
        return Packed(array(typecode, flat), shape)
    except (TypeError, OverflowError):
        return Packed(_mended(flat, datatype, typecode), shape)


def _flatten(data: object, shape: list[int], count: int) -> list[Any]:
    if type(data) is not list:
        raise OipError("data has to be a list")
    if data and type(data[0]) is list:
        return _unnest(data, shape)
    if len(data) != count:
        raise OipError(f"data holds {len(data)} elements, but shape {shape} needs {count}")
    return data


def _unnest(data: list[Any], shape: list[int]) -> list[Any]:
    if not shape or len(data) != shape[0]:
        raise OipError(f"nested data does not have shape {shape}: its outer list holds {len(data)}")
    level = data
    for depth, size in enumerate(shape[1:], start=1):
        for part in level:
            if type(part) is not list or len(part) != size:
                raise OipError(
                    f"nested data does not have shape {shape}: dimension {depth} needs lists of {size}"
                )
        level = level[0] if len(level) == 1 else list(chain.from_iterable(level))
    return level


def _mended(flat: list[Any], datatype: str, typecode: str) -> "array[Any]":
    """The elements with NaN for null, where the type has one; else an error that names what does not fit."""
    floating = typecode in "fd"
    try:
        return array(typecode, [nan if value is None else value for value in flat] if floating else flat)
    except TypeError:
        kinds = (int, float, type(None)) if floating else (int,)
        raise _unsuitable(flat, kinds, datatype) from None
    except OverflowError:
        raise OipError(f"data holds a number outside the range of {datatype}") from None


def _halves(flat: list[Any]) -> Tensor:
    if bool in set(map(type, flat)):
        raise OipError("data holds a boolean, where FP16 needs numbers")
    with np.errstate(over="ignore"):
        return np.frombuffer(_mended(flat, "FP16", "f"), np.float32).astype(np.float16)


def _truths(flat: list[Any]) -> Tensor:
    if set(map(type, flat)) - {bool}:
        raise _unsuitable(flat, (bool,), "BOOL")
    return np.array(flat, dtype=np.bool_)


def _texts(flat: list[Any]) -> Tensor:
    """Strings, with null for a missing one."""
    kinds = set(map(type, flat)) - {str}
    if kinds - {type(None)}:
        raise _unsuitable(flat, (str, type(None)), "BYTES")
    return np.array(["" if value is None else value for value in flat] if kinds else flat, dtype=np.object_)


def _unsuitable(flat: list[Any], kinds: tuple[type, ...], datatype: str) -> OipError:
    """Name the first element that is of none of `kinds`."""
    for index, value in enumerate(flat):
        if type(value) not in kinds:
            return OipError(f"element {index} of data is {_named(value)}, which {datatype} cannot hold")
    return OipError(f"data does not fit {datatype}")


def _named(value: object) -> str:
    if value is None:
        return "null (a missing value needs a floating point or BYTES input)"
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return f"the number {value!r:.40}"
    return "a list or an object"


_RARE = {"BOOL": _truths, "BYTES": _texts, "FP16": _halves}
