"""The body of an inference response to its outputs, by name: to compare the answers of two servers."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan, prod
from typing import Any

import numpy as np
import orjson

from modelwright_serving.oip.binary import Tail, from_bytes
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.signature import NUMPY_TYPES
from modelwright_serving.oip.tensors import Part, Tensor, from_json, unpack


@dataclass(frozen=True, slots=True)
class Output:
    """One output of an answer. `classes`: what its columns stand for, if the answer says so; in sorted order."""

    values: Tensor
    classes: tuple[str, ...] = ()


Outputs = Mapping[str, Output]


def read(body: bytes, json_length: int | None = None) -> Outputs:
    """The outputs; OipError if the body is no response, whose JSON has `json_length` bytes if data follow it."""
    try:
        document = orjson.loads(body if json_length is None else body[:json_length])
        if "records" in document:
            return _by_record(document["records"])
        tail = Tail(memoryview(body)[len(body) if json_length is None else json_length :])
        return {entry["name"]: _output(entry, tail) for entry in document["outputs"]}
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as error:
        raise OipError(f"the answer is no inference response: {error}") from None


def output(datatype: str, part: Part) -> Output:
    """The elements as an output."""
    return Output(unpack(NUMPY_TYPES[datatype], part))


def _output(entry: dict[str, Any], tail: Tail) -> Output:
    datatype, shape = entry["datatype"], entry["shape"]
    size = (entry.get("parameters") or {}).get("binary_data_size")
    if size is not None:
        return output(datatype, from_bytes(tail.take(size), datatype, shape))
    return output(datatype, from_json(entry["data"], datatype, shape, prod(shape)))


def _by_record(records: list[dict[str, Any]]) -> Outputs:
    """Each value that the records have in common, for all of them."""
    names = records[0] if records else {}
    return {name: _of_records([record[name] for record in records]) for name in names}


def _of_records(values: list[Any]) -> Output:
    """One output: in each record a value, a list of values, or an object with a value for each class."""
    if not isinstance(values[0], dict):
        return Output(_array(values))
    classes = tuple(sorted(values[0]))
    if any(len(value) != len(classes) for value in values):
        raise ValueError("its records have different classes")
    return Output(_array([[value[name] for name in classes] for value in values]), classes)


def _array(values: list[Any]) -> Tensor:
    """Values of any nesting, flat: floating point numbers, with NaN for null, or objects."""
    flat = np.array(values, dtype=np.object_).ravel()
    if set(map(type, flat)) <= {float, type(None)}:
        return np.array([nan if value is None else value for value in flat], dtype=np.float64)
    return flat
