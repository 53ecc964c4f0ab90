"""Builds inference requests over HTTP and reads their responses, as JSON and with binary tensors."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.checks import Failed, expect, shown
from conformance.tensors import DATATYPES, Array, Tensor, from_bytes, from_json
from conformance.wire import Reply

LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Body:
    """A request's body; `length` is that of its JSON part where binary tensors follow."""

    content: bytes
    length: int | None = None

    @property
    def headers(self) -> list[tuple[str, str]]:
        if self.length is None:
            return [("Content-Type", "application/json")]
        return [("Content-Type", "application/octet-stream"), (LENGTH, str(self.length))]


def as_json(document: object) -> Body:
    return Body(json.dumps(document).encode())


def plain(tensors: Sequence[Tensor], *, nested: bool = False, **more: Any) -> Body:
    """Everything in JSON."""
    return as_json({**more, "inputs": [tensor.entry(nested=nested) for tensor in tensors]})


def binary(tensors: Sequence[Tensor], only: Collection[str] | None = None, **more: Any) -> Body:
    """The inputs in `only` (all, if not given) as bytes behind the JSON."""
    entries, tail = [], []
    for tensor in tensors:
        if only is not None and tensor.name not in only:
            entries.append(tensor.entry())
            continue
        content = tensor.content()
        entries.append({**tensor.described(), "parameters": {"binary_data_size": len(content)}})
        tail.append(content)
    return with_tail({**more, "inputs": entries}, *tail)


def with_tail(document: object, *tail: bytes) -> Body:
    header = json.dumps(document).encode()
    return Body(header + b"".join(tail), len(header))


def one_missing(tensors: Sequence[Tensor], position: int) -> tuple[Body, Body]:
    """The same request in JSON and in bytes, its first value at that input missing: null, and NaN."""
    given = tensors[position]
    values = given.values.copy()
    values.flat[0] = float("nan")
    changed = [*tensors[:position], Tensor(given.name, given.datatype, values), *tensors[position + 1 :]]
    entries = [tensor.entry() for tensor in changed]
    entries[position]["data"][0] = None
    return as_json({"inputs": entries}), binary(changed)


@dataclass(frozen=True)
class Answer:
    """A successful inference: the JSON part, and every output's values by name, in the order they came."""

    document: dict[str, Any]
    outputs: dict[str, Array]
    binary: frozenset[str]


def read(reply: Reply) -> Answer:
    """What an inference answered; fails if it is not a valid response."""
    expect(reply.status == 200, f"status {reply.status}: {shown(reply.body)}")
    length = reply.header(LENGTH)
    header, tail = reply.body, b""
    if length is not None:
        expect(length.isdigit() and int(length) <= len(reply.body), f"{LENGTH} is {shown(length)}")
        header, tail = reply.body[: int(length)], reply.body[int(length) :]
    document = reply.json(header)
    expect(isinstance(document, dict), f"the response is no JSON object: {shown(header)}")
    outputs, found_binary, rest = _outputs(document, tail)
    expect(rest == b"", f"{len(rest)} bytes follow the last binary tensor")
    return Answer(document, outputs, frozenset(found_binary))


def _outputs(document: dict[str, Any], tail: bytes) -> tuple[dict[str, Array], list[str], bytes]:
    outputs: dict[str, Array] = {}
    found_binary = []
    for entry in listed(document, "outputs"):
        name, datatype, shape = described(entry)
        expect(name not in outputs, f"output {name} comes twice")
        size = (entry.get("parameters") or {}).get("binary_data_size")
        if size is None:
            outputs[name] = from_json(entry.get("data"), datatype, shape)
            continue
        expect(
            type(size) is int and 0 <= size <= len(tail),
            f"binary_data_size {size}: {len(tail)} bytes are left",
        )
        outputs[name] = from_bytes(tail[:size], datatype, shape)
        found_binary.append(name)
        tail = tail[size:]
    return outputs, found_binary, tail


def listed(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise Failed(f"{key} is no list of objects: {shown(json.dumps(found))}")
    return found


def described(entry: dict[str, Any]) -> tuple[str, str, list[int]]:
    """Name, datatype and shape of a tensor in a response."""
    name, datatype, shape = (entry.get(key) for key in ("name", "datatype", "shape"))
    if not isinstance(name, str):
        raise Failed(f"an output has no name: {shown(json.dumps(entry))}")
    expect(datatype in DATATYPES, f"output {name} has datatype {shown(json.dumps(datatype))}")
    expect(
        isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape),
        f"output {name} has shape {shown(json.dumps(shape))}",
    )
    return name, str(datatype), list(shape or [])
