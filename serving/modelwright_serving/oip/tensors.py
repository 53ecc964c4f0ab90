"""The `data` of one JSON tensor to a NumPy array. Which tensor it belongs to is left to `request`."""

from array import array
from itertools import chain
from math import nan, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.signature import NUMPY_TYPES

Tensor = npt.NDArray[Any]

# array.array refuses what NumPy would bend: text for numbers, fractions and gaps for integers, out of range.
_TYPECODES = {
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP32": "f",
    "FP64": "d",
}


def from_json(data: object, datatype: str, shape: list[int], *, booleans: bool = True) -> Tensor:
    """The tensor that `data` (flat, or nested exactly as `shape` says) describes.

    `booleans` is False when the caller knows that the document holds none, which spares looking for them.
    """
    flat = _flatten(data, shape)
    if datatype == "BYTES":
        return _texts(flat).reshape(shape)
    if datatype == "BOOL":
        return _truths(flat).reshape(shape)
    if booleans and bool in set(map(type, flat)):
        raise OipError(f"data holds a boolean, where {datatype} needs numbers")
    if datatype == "FP16":
        return _floats(flat, "FP32").astype(np.float16).reshape(shape)
    if datatype in {"FP32", "FP64"}:
        return _floats(flat, datatype).reshape(shape)
    return _integers(flat, datatype).reshape(shape)


def _flatten(data: object, shape: list[int]) -> list[Any]:
    if type(data) is not list:
        raise OipError("data has to be a list")
    count = prod(shape)
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
        level = list(chain.from_iterable(level))
    return level


def _floats(flat: list[Any], datatype: str) -> Tensor:
    """Numbers, with null for a missing one."""
    try:
        return np.frombuffer(array(_TYPECODES[datatype], flat), NUMPY_TYPES[datatype])
    except TypeError:
        if None not in flat:
            raise _unsuitable(flat, (int, float), datatype) from None
        return _floats([nan if value is None else value for value in flat], datatype)
    except OverflowError:
        raise OipError(f"data holds a number outside the range of {datatype}") from None


def _integers(flat: list[Any], datatype: str) -> Tensor:
    try:
        return np.frombuffer(array(_TYPECODES[datatype], flat), NUMPY_TYPES[datatype])
    except TypeError:
        raise _unsuitable(flat, (int,), datatype) from None
    except OverflowError:
        raise OipError(f"data holds a number outside the range of {datatype}") from None


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
