"""Reads answers to inference by the protocol's text, and compares them with what the model gives."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose, isfinite, isnan
from typing import Any

import numpy as np

from fuzz.engine import Finding
from fuzz.replies import Reply
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.signature import NUMPY_TYPES, Signature
from modelwright_serving.oip.tensors import Tensor


@dataclass(frozen=True)
class Output:
    """One tensor as a client reads it: a missing value is a number that JSON cannot say."""

    name: str
    shape: tuple[int, ...]
    values: list[Any]
    binary: bool


@dataclass(frozen=True)
class Answered:
    """A whole answer."""

    id: str | None
    outputs: list[Output]

    def compare(self, request: InferRequest, expected: dict[str, Tensor]) -> None:
        """Finding if this is not what the request asked for and the model gives."""
        if self.id != request.id:
            raise Finding(f"the id is {self.id!r}, not {request.id!r}")
        if [output.binary for output in self.outputs] != [binary for _, binary in request.wanted]:
            raise Finding(f"asked for {request.wanted}, got {self.outputs}")
        names = list(expected)
        for output, (position, _) in zip(self.outputs, request.wanted, strict=True):
            tensor = expected[names[position]]
            if output.name != names[position]:
                raise Finding(f"{names[position]} is wanted, but the answer says {output}")
            if output.shape != tensor.shape or not _equal(output.values, tensor.reshape(-1).tolist()):
                raise Finding(f"the model gives {tensor!r}, but the answer says {output}")


def read(signature: Signature, reply: Reply) -> Answered:
    """The answer; Finding if a client could not read it."""
    try:
        document, end = json.JSONDecoder(parse_constant=_refused).raw_decode(reply.body.decode("latin-1"))
        document = json.loads(reply.body[:end])
    except ValueError as error:
        raise Finding(f"no JSON: {error}: {reply}") from None
    if document["model_name"] != "churn" or document["model_version"] != "1":
        raise Finding(f"another model answers: {reply}")
    rest, outputs = reply.body[end:], []
    for output in document["outputs"]:
        found, rest = _output(signature, output, rest)
        outputs.append(found)
    if rest:
        raise Finding(f"{len(rest)} bytes belong to no output: {reply}")
    return Answered(document.get("id"), outputs)


def check_records(reply: Reply, request: InferRequest, expected: dict[str, Tensor]) -> None:
    """Finding if these are not the rows that the model gives, record by record, whatever their keys are."""
    document = json.loads(reply.body, parse_constant=_refused)
    found = document["records"]
    columns = list(expected.values())
    if document.get("id") != request.id or len(found) != len(columns[0]):
        raise Finding(f"{len(columns[0])} rows for {request.id!r}, but the answer says {reply}")
    for index, record in enumerate(found):
        rows = [column[index] for column in columns]
        for said, row in zip(record.values(), rows, strict=True):
            if not _equal(list(_flat(said)), np.asarray(row).reshape(-1).tolist()):
                raise Finding(f"the model gives {row!r} for record {index}, but the answer says {said}")


def _flat(said: Any) -> Iterator[Any]:
    """The values of one output in a record, which may be a list, or an object with a value for each class."""
    parts = said.values() if isinstance(said, dict) else said if isinstance(said, list) else None
    if parts is None:
        yield said
        return
    for part in parts:
        yield from _flat(part)


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _output(signature: Signature, document: Any, rest: bytes) -> tuple[Output, bytes]:
    spec = signature.outputs[signature.output_positions[document["name"]]]
    shape = tuple(document["shape"])
    if document["datatype"] != spec.datatype or not spec.admits(shape):
        raise Finding(f"{document['datatype']} of shape {shape} for {spec}")
    if "data" in document:
        values, binary = document["data"], False
    else:
        size, binary = document["parameters"]["binary_data_size"], True
        values, rest = _unpacked(spec.datatype, rest[:size]), rest[size:]
    if len(values) != int(np.prod(shape)):
        raise Finding(f"{len(values)} values for shape {shape}")
    return Output(spec.name, shape, values, binary), rest


def _unpacked(datatype: str, blob: bytes) -> list[Any]:
    if datatype != "BYTES":
        found: list[Any] = np.frombuffer(blob, NUMPY_TYPES[datatype]).tolist()
        return found
    texts, at = [], 0
    while at < len(blob):
        (size,) = struct.unpack_from("<I", blob, at)
        texts.append(blob[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return texts


def agree(signature: Signature, one: Reply, other: Reply) -> bool:
    """Whether two answers say the same, but for the last bit of a number."""
    if one == other or one.status != 200 or other.status != 200:
        return one == other
    left, right = read(signature, one), read(signature, other)
    return left.id == right.id and all(
        (a.name, a.shape) == (b.name, b.shape) and _equal(a.values, b.values)
        for a, b in zip(left.outputs, right.outputs, strict=True)
    )


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same, but for the last bit of a number."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=2e-3 if one.itemsize == 2 else 1e-6, equal_nan=True))
    return bool((one == other).all())


def _equal(got: list[Any], expected: list[Any]) -> bool:
    return len(got) == len(expected) and all(map(_same, got, expected))


def _same(got: Any, expected: Any) -> bool:
    if got is None or expected is None:
        return got is expected or (isinstance(expected, float) and not isfinite(expected))
    if isinstance(expected, float):
        return isclose(got, expected, rel_tol=1e-5, abs_tol=1e-6) or (isnan(got) and isnan(expected))
    return bool(got == expected)
