"""The body of an inference response to its outputs, by name: for whoever asks another server."""

from collections.abc import Mapping
from math import prod
from typing import Any

import orjson

from modelwright_serving.oip.binary import Tail, from_bytes
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.signature import NUMPY_TYPES
from modelwright_serving.oip.tensors import Part, Tensor, from_json, unpack


def read(body: bytes, header_length: int | None = None) -> Mapping[str, Tensor]:
    """The outputs; OipError if the body is no response, whose JSON has `header_length` bytes if data follow it."""
    try:
        document = orjson.loads(body if header_length is None else body[:header_length])
        tail = Tail(memoryview(body)[len(body) if header_length is None else header_length :])
        return {entry["name"]: _output(entry, tail) for entry in document["outputs"]}
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as error:
        raise OipError(f"the answer is no inference response: {error}") from None


def tensor(datatype: str, part: Part) -> Tensor:
    """The elements as an array."""
    return unpack(NUMPY_TYPES[datatype], part)


def _output(entry: dict[str, Any], tail: Tail) -> Tensor:
    datatype, shape = entry["datatype"], entry["shape"]
    size = (entry.get("parameters") or {}).get("binary_data_size")
    if size is not None:
        return tensor(datatype, from_bytes(tail.take(size), datatype, shape))
    return tensor(datatype, from_json(entry["data"], datatype, shape, prod(shape)))
