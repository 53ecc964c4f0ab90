"""The typed contents of one input tensor to an array. Which tensor it belongs to is left to `decoding`."""

from collections.abc import Iterator
from itertools import chain
from math import prod

import numpy as np

from modelwright_serving import protobuf
from modelwright_serving.limits import MAX_DOCUMENT, MAX_UNPACKED
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.signature import NUMPY_TYPES
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.protobuf import FIXED32, FIXED64, LENGTH, VARINT, Field, WireError

_NAMES = (
    *("", "bool_contents", "int_contents", "int64_contents", "uint_contents", "uint64_contents"),
    *("fp32_contents", "fp64_contents", "bytes_contents"),
)
# The field of InferTensorContents that holds a datatype; FP16 has none.
_FIELDS = {
    "BOOL": 1,
    **dict.fromkeys(("INT8", "INT16", "INT32"), 2),
    "INT64": 3,
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), 4),
    "UINT64": 5,
    "FP32": 6,
    "FP64": 7,
    "BYTES": 8,
}
_FIXED = {"FP32": FIXED32, "FP64": FIXED64}
# What the field's own type makes of a number, before it has to fit the datatype.
_CARRIERS = {1: "u8", 2: "i4", 3: "i8", 4: "u4", 5: "u8"}


def check(datatype: str, fields: list[Field]) -> None:
    """OipError unless the contents hold what belongs to the datatype, and nothing else."""
    number = _FIELDS.get(datatype)
    if number is None:
        raise OipError(f"{datatype} has no typed contents; send it in raw_input_contents")
    for field in fields:
        if 0 < field.number < len(_NAMES) and field.number != number:
            raise OipError(f"{datatype} belongs in contents.{_NAMES[number]}, not in {_NAMES[field.number]}")


def plain(datatype: str, fields: list[Field]) -> tuple[int, int] | None:
    """Where the elements are, if they stand in one piece as the binary form has them."""
    if datatype in _FIXED and [(field.number, field.kind) for field in fields] == [
        (_FIELDS[datatype], LENGTH)
    ]:
        return fields[0].start, fields[0].stop
    return None


def tensor(data: bytes, datatype: str, shape: list[int], fields: list[Field]) -> Tensor:
    """The array that the contents describe; `check` has passed."""
    known = [field for field in fields if field.number == _FIELDS[datatype]]
    if datatype == "BYTES":
        return _texts(data, shape, [field for field in known if field.kind == LENGTH])
    if sum(field.kind != LENGTH for field in known) > MAX_UNPACKED:
        raise OipError(f"contents hold more than {MAX_UNPACKED} elements that are not packed")
    if datatype in _FIXED:
        return _floats(data, datatype, shape, known)
    return _integers(data, datatype, shape, known)


def _texts(data: bytes, shape: list[int], fields: list[Field]) -> Tensor:
    _check_count(len(fields), shape)
    try:
        texts = [protobuf.text(data, field) for field in fields]
    except WireError:
        raise OipError("contents hold a string that is not UTF-8, which the model cannot read") from None
    return np.array(texts, dtype=np.object_).reshape(shape)


def _floats(data: bytes, datatype: str, shape: list[int], fields: list[Field]) -> Tensor:
    dtype = NUMPY_TYPES[datatype]
    pieces = [field for field in fields if field.kind in {LENGTH, _FIXED[datatype]}]
    size = sum(field.stop - field.start for field in pieces)
    if size % dtype.itemsize:
        raise OipError("contents end within a number")
    _check_count(size // dtype.itemsize, shape)
    raw = b"".join(data[field.start : field.stop] for field in pieces)
    return np.frombuffer(raw, dtype).reshape(shape)


def _integers(data: bytes, datatype: str, shape: list[int], fields: list[Field]) -> Tensor:
    """Integers, which are counted first: a byte may be a number that takes eight."""
    pieces = [field for field in fields if field.kind in {LENGTH, VARINT}]
    _check_count(sum(_count(data, field) for field in pieces), shape)
    dtype = NUMPY_TYPES[datatype]
    if prod(shape) * dtype.itemsize > MAX_DOCUMENT:
        raise OipError(
            f"the contents take more than {MAX_DOCUMENT} bytes; send fewer rows", Problem.TOO_LARGE
        )
    found: Tensor = np.empty(prod(shape), dtype)
    start = 0
    for numbers in chain.from_iterable(_numbers(data, field) for field in pieces):
        carried = numbers if datatype == "BOOL" else numbers.astype(_CARRIERS[_FIELDS[datatype]])
        part = found[start : start + len(carried)]
        part[:] = carried.astype(dtype)
        if dtype not in (np.bool_, carried.dtype) and not np.array_equal(part, carried):
            raise OipError(f"contents hold a number outside the range of {datatype}")
        start += len(carried)
    return found.reshape(shape)


def _count(data: bytes, field: Field) -> int:
    return 1 if field.kind == VARINT else protobuf.count_varints(data, field.start, field.stop)


def _numbers(data: bytes, field: Field) -> Iterator[Tensor]:
    if field.kind == VARINT:
        yield np.array([field.value], np.uint64)
        return
    try:
        yield from protobuf.portions(data, field.start, field.stop)
    except WireError as error:
        raise OipError(f"contents cannot be read: {error}") from None


def _check_count(found: int, shape: list[int]) -> None:
    if found != prod(shape):
        raise OipError(f"contents hold {found} elements, but shape {shape} needs {prod(shape)}")
