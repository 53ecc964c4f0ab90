"""The server under test and what it says about itself; the ways for checks to speak with it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from conformance import bodies
from conformance.bodies import Answer, Body
from conformance.checks import Failed, expect, need, shown
from conformance.tensors import DATATYPES, Array, Spec, Tensor, from_json, same, sample
from conformance.wire import Address, Headers, Reply, Wire, head

ROWS = 3


@dataclass
class Target:
    """A server at an HTTP address, perhaps with gRPC too, and one of its models."""

    address: Address
    model: str
    grpc: str | None = None
    template: tuple[Tensor, ...] = ()
    server: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    # --- speaking ------------------------------------------------------------------------------

    def connect(self) -> Wire:
        return Wire(self.address)

    def target(self, path: str) -> str:
        return f"{self.address.prefix}{path}"

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Headers = (),
        *,
        version: str = "1.1",
    ) -> bytes:
        """The bytes of a whole request."""
        length = [] if body is None else [("Content-Length", str(len(body)))]
        lines = [("Host", self.address.authority), *headers, *length]
        return head(method, self.target(path), lines, version) + (body or b"")

    def call(self, method: str, path: str, body: bytes | None = None, headers: Headers = ()) -> Reply:
        """One request over a connection of its own."""
        with self.connect() as wire:
            wire.send(self.request(method, path, body, headers))
            return wire.reply(head_only=method == "HEAD")

    def get(self, path: str) -> Reply:
        return self.call("GET", path)

    def post(self, body: Body, headers: Headers | None = None, path: str = "") -> Reply:
        """An inference request; other headers than the body's own replace those."""
        return self.call(
            "POST", path or self.infer_path, body.content, body.headers if headers is None else headers
        )

    def infer(self, body: Body, headers: Headers | None = None) -> Answer:
        return bodies.read(self.post(body, headers))

    def infer_request(self, body: Body) -> bytes:
        return self.request("POST", self.infer_path, body.content, body.headers)

    # --- paths ---------------------------------------------------------------------------------

    @property
    def model_path(self) -> str:
        return f"/v2/models/{quote(self.model)}"

    @property
    def infer_path(self) -> str:
        return f"{self.model_path}/infer"

    @property
    def version(self) -> str:
        """A version that may be asked for."""
        versions = self.metadata.get("versions")
        need(isinstance(versions, list) and versions, "the model has no versions")
        return str(versions[-1]) if versions else ""

    @property
    def version_path(self) -> str:
        return f"{self.model_path}/versions/{quote(self.version)}"

    # --- the model -----------------------------------------------------------------------------

    @cached_property
    def inputs(self) -> tuple[Spec, ...]:
        return _specs(self.metadata, "inputs")

    @cached_property
    def outputs(self) -> tuple[Spec, ...]:
        return _specs(self.metadata, "outputs")

    @property
    def varies(self) -> bool:
        """Whether requests may have any number of rows."""
        return all(spec.varies for spec in self.inputs)

    def need_rows(self) -> None:
        need(self.varies, "the model takes a fixed number of rows")

    def tensors(self, rows: int = ROWS) -> list[Tensor]:
        """A valid request: from the template if one is given, else made up."""
        if not self.template:
            return [sample(spec, rows) for spec in self.inputs]
        if not self.varies:
            return list(self.template)
        return [tensor.rows(rows) for tensor in self.template]

    @cached_property
    def baseline(self) -> dict[str, Array]:
        """What the plain JSON request answers: every other way to ask has to answer the same."""
        return self.infer(bodies.plain(self.tensors())).outputs

    def expect_baseline(self, outputs: dict[str, Array], names: Sequence[str] | None = None) -> None:
        wanted = list(self.baseline) if names is None else list(names)
        expect(sorted(outputs) == sorted(wanted), f"outputs {sorted(outputs)} instead of {sorted(wanted)}")
        for name in wanted:
            expect(
                same(outputs[name], self.baseline[name]),
                f"output {name} differs from the plain request's: "
                f"{shown(outputs[name].ravel()[:4])} instead of {shown(self.baseline[name].ravel()[:4])}",
            )

    @cached_property
    def speaks_binary(self) -> bool:
        return self.post(bodies.binary(self.tensors())).status == 200

    def need_binary(self) -> None:
        need(self.speaks_binary, "the server does not speak binary tensors")

    def input_of(self, *datatypes: str) -> int:
        """The position of the first input of one of these datatypes."""
        for position, spec in enumerate(self.inputs):
            if spec.datatype in datatypes:
                return position
        need(condition=False, otherwise=f"the model has no input of {' or '.join(datatypes)}")
        raise AssertionError


def discover(url: str, grpc: str | None, model: str | None, template: bytes | None) -> Target:
    """Ask the server what it is; fails when it cannot be tested at all."""
    address = Address.of(url)
    target = Target(address, model or _only_model(Target(address, "")), grpc)
    target.server = target.get("/v2").document()
    reply = target.get(target.model_path)
    expect(reply.status == 200, f"GET {target.model_path} answers {reply.status}: {shown(reply.body)}")
    target.metadata = reply.document()
    expect(target.inputs and target.outputs, "the model's metadata names no inputs or no outputs")
    if template is not None:
        target.template = tuple(_template(target, json.loads(template)))
    try:
        _ = target.baseline
    except Failed as failure:
        raise Failed(
            f"a plain JSON request is refused, so nothing can be compared; "
            f"if the model takes special values only, give some with --request. {failure}"
        ) from None
    return target


def _only_model(target: Target) -> str:
    """The name of the model, from the list that some servers have."""
    listing = target.get("/v2/models")
    names = listing.document().get("models") if listing.status == 200 else None
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str):
        raise Failed("the server does not say which one model it serves; name it with --model")
    return names[0]


def _specs(metadata: dict[str, Any], key: str) -> tuple[Spec, ...]:
    specs = []
    for entry in bodies.listed(metadata, key):
        name, datatype, shape = entry.get("name"), entry.get("datatype"), entry.get("shape")
        expect(datatype in DATATYPES, f"{key}: {name} has datatype {shown(datatype)}")
        expect(
            isinstance(shape, list) and all(type(size) is int for size in shape),
            f"{key}: {name} has no shape",
        )
        specs.append(Spec(str(name), str(datatype), tuple(shape or [])))
    return tuple(specs)


def _template(target: Target, document: dict[str, Any]) -> list[Tensor]:
    entries = {entry["name"]: entry for entry in document["inputs"]}
    return [
        Tensor(spec.name, spec.datatype, from_json(entry["data"], spec.datatype, entry["shape"]))
        for spec in target.inputs
        for entry in [entries[spec.name]]
    ]
