"""The typed contents of one input tensor to an array. Which tensor it belongs to is left to `decoding`."""

from math import prod

import numpy as np

from modelwright_serving import protobuf
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.signature import NUMPY_TYPES
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.protobuf import FIXED32, FIXED64, LENGTH, VARINT, Field, WireError

_MAX_UNPACKED = 10_000
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
        return _fit(_texts(data, known), shape)
    if sum(field.kind != LENGTH for field in known) > _MAX_UNPACKED:
        raise OipError(f"contents hold more than {_MAX_UNPACKED} elements that are not packed")
    if datatype in _FIXED:
        return _fit(_floats(data, datatype, known), shape)
    return _fit(_integers(data, datatype, known), shape)


def _texts(data: bytes, fields: list[Field]) -> Tensor:
    try:
        texts = [protobuf.text(data, field) for field in fields if field.kind == LENGTH]
    except WireError:
        raise OipError("contents hold a string that is not UTF-8, which the model cannot read") from None
    return np.array(texts, dtype=np.object_)


def _floats(data: bytes, datatype: str, fields: list[Field]) -> Tensor:
    dtype = NUMPY_TYPES[datatype]
    raw = b"".join(
        data[field.start : field.stop] for field in fields if field.kind in {LENGTH, _FIXED[datatype]}
    )
    if len(raw) % dtype.itemsize:
        raise OipError("contents end within a number")
    return np.frombuffer(raw, dtype)


def _integers(data: bytes, datatype: str, fields: list[Field]) -> Tensor:
    parts = [_numbers(data, field) for field in fields if field.kind in {LENGTH, VARINT}]
    numbers = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    if datatype == "BOOL":
        return numbers.astype(np.bool_)
    carried = numbers.astype(_CARRIERS[_FIELDS[datatype]])
    dtype = NUMPY_TYPES[datatype]
    found: Tensor = carried.astype(dtype)
    if found.dtype != carried.dtype and not np.array_equal(found, carried):
        raise OipError(f"contents hold a number outside the range of {datatype}")
    return found


def _numbers(data: bytes, field: Field) -> Tensor:
    if field.kind == VARINT:
        return np.array([field.value], np.uint64)
    try:
        return protobuf.varints(data, field.start, field.stop)
    except WireError as error:
        raise OipError(f"contents cannot be read: {error}") from None


def _fit(flat: Tensor, shape: list[int]) -> Tensor:
    if len(flat) != prod(shape):
        raise OipError(f"contents hold {len(flat)} elements, but shape {shape} needs {prod(shape)}")
    return flat.reshape(shape)
