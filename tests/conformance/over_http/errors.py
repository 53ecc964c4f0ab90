"""Requests that cannot be answered: each is refused with a status and a message, and harms nobody else."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from conformance import bodies
from conformance.bodies import Body
from conformance.checks import Check, Group, NotApplicable, Run, Severity, expect, need
from conformance.over_http.metadata import expect_error
from conformance.sources import (
    INFER_FAILURE,
    kserve_api,
    kserve_client,
    practice,
    rfc9110,
    triton,
    tritonclient,
)
from conformance.target import Target
from conformance.tensors import INTEGERS

GROUP = Group("http")
Build = Callable[[Target], Body]
Entries = list[dict[str, Any]]


def _changed(target: Target, change: Callable[[Entries], object]) -> Body:
    """A valid request with one thing wrong."""
    entries = [tensor.entry() for tensor in target.tensors()]
    change(entries)
    return bodies.as_json({"inputs": entries})


def _with(**fields: Any) -> Build:
    """The first input with other fields."""
    return lambda target: _changed(target, lambda entries: entries[0].update(fields))


def _without(field: str) -> Build:
    return lambda target: _changed(target, lambda entries: entries[0].pop(field))


def _bytes(content: bytes) -> Build:
    return lambda _: Body(content)


def _document(document: object) -> Build:
    return lambda _: bodies.as_json(document)


def _missing_input(target: Target) -> Body:
    need(len(target.inputs) > 1, "the model has one input")
    return _changed(target, lambda entries: entries.pop())


def _other_datatype(target: Target) -> Body:
    other = "BYTES" if target.inputs[0].datatype != "BYTES" else "FP32"
    data = ["x"] if other == "BYTES" else [1.0]
    entry = target.tensors()[0].entry()
    return _changed(target, lambda entries: entries[0].update(datatype=other, data=data * len(entry["data"])))


def _more_dimensions(target: Target) -> Body:
    shape = target.tensors()[0].shape
    return _changed(target, lambda entries: entries[0].update(shape=[*shape, 1]))


def _other_size(target: Target) -> Body:
    """One column too many, with the data for it."""
    shape = list(target.inputs[0].shape)
    fixed = [index for index, size in enumerate(shape) if size > 0]
    need(fixed, "no dimension of the first input is fixed")
    tensor = target.tensors()[0]
    sizes = tensor.shape
    sizes[fixed[-1]] += 1
    count = 1
    for size in sizes:
        count *= size
    data = (tensor.elements() * count)[:count]
    return _changed(target, lambda entries: entries[0].update(shape=sizes, data=data))


def _ragged(target: Target) -> Body:
    need(len(target.inputs[0].shape) > 1, "the first input has one dimension")
    nested = target.tensors()[0].elements(nested=True)
    nested[-1] = nested[-1][:-1]
    return _changed(target, lambda entries: entries[0].update(data=nested))


def _text_for_number(target: Target) -> Body:
    position = next((i for i, spec in enumerate(target.inputs) if spec.datatype != "BYTES"), None)
    need(position is not None, "every input is BYTES")
    return _changed(target, lambda entries: entries[position or 0]["data"].__setitem__(0, "twelve"))


def _number_for_text(target: Target) -> Body:
    position = target.input_of("BYTES")
    return _changed(target, lambda entries: entries[position]["data"].__setitem__(0, {"a": 1}))


def _too_large_integer(target: Target) -> Body:
    position = target.input_of(*INTEGERS)
    return _changed(target, lambda entries: entries[position]["data"].__setitem__(0, 2**70))


def _fraction_for_integer(target: Target) -> Body:
    position = target.input_of(*INTEGERS)
    return _changed(target, lambda entries: entries[position]["data"].__setitem__(0, 1.5))


def _unknown_output(target: Target) -> Body:
    return bodies.plain(target.tensors(), outputs=[{"name": "no-such-output"}])


def _huge_shape(target: Target) -> Body:
    return _with(shape=[2**62] * len(target.inputs[0].shape))(target)


def _extra_input(target: Target) -> Body:
    extra = {"name": "no-such-input", "shape": [1], "datatype": "FP32", "data": [1.0]}
    return _changed(target, lambda entries: entries.append(extra))


KINDS: dict[str, tuple[str, Build]] = {
    "not-json": ("a body that is no JSON", _bytes(b'{"inputs": [')),
    "empty": ("an empty body", _bytes(b"")),
    "not-utf8": ("a body that is no UTF-8", _bytes(b'{"id": "\xff\xfe", "inputs": []}')),
    "not-an-object": ("a JSON body that is no object", _document([1, 2])),
    "deep": ("JSON nested 100,000 deep", _bytes(b"[" * 100_000)),
    "no-inputs": ("no inputs", _document({"id": "1"})),
    "empty-inputs": ("an empty list of inputs", _document({"inputs": []})),
    "inputs-not-a-list": ("inputs that are no list", _document({"inputs": {"name": "x"}})),
    "inputs-of-numbers": ("inputs that are no objects", _document({"inputs": [1, 2]})),
    "unknown-input": ("an input that the model does not have", _with(name="no-such-input")),
    "extra-input": ("an unknown input beside the right ones", _extra_input),
    "missing-input": ("an input left out", _missing_input),
    "input-twice": (
        "an input given twice",
        lambda target: _changed(target, lambda entries: entries.append(entries[0])),
    ),
    "no-name": ("an input without name", _without("name")),
    "no-datatype": ("an input without datatype", _without("datatype")),
    "no-shape": ("an input without shape", _without("shape")),
    "no-data": ("an input without data", _without("data")),
    "unknown-datatype": ("a datatype that the protocol does not have", _with(datatype="FP99")),
    "other-datatype": ("a datatype that the model does not take", _other_datatype),
    "more-dimensions": ("a shape with one dimension too many", _more_dimensions),
    "other-size": ("a size that the model does not take", _other_size),
    "too-few-elements": (
        "fewer elements than the shape says",
        lambda target: _changed(target, lambda entries: entries[0]["data"].pop()),
    ),
    "too-many-elements": (
        "more elements than the shape says",
        lambda target: _changed(target, lambda entries: entries[0]["data"].append(entries[0]["data"][0])),
    ),
    "ragged": ("nested data with a short row", _ragged),
    "negative-size": ("a negative size in a shape", _with(shape=[-1, -30])),
    "fractional-size": ("a shape that is no list of integers", _with(shape=[1.5, "2"])),
    "huge-shape": ("a shape of 2^62 rows", _huge_shape),
    "data-not-a-list": ("data that is no list", _with(data="abc")),
    "text-for-number": ("a text where a number belongs", _text_for_number),
    "object-for-text": ("an object where a text belongs", _number_for_text),
    "integer-range": ("an integer beyond its datatype", _too_large_integer),
    "fraction-for-integer": ("a fraction where an integer belongs", _fraction_for_integer),
    "unknown-output": ("an output that the model does not have", _unknown_output),
}


def _refused(build: Build) -> Run:
    return lambda target: _expect_refused(target, build)


def _expect_refused(target: Target, build: Build) -> None:
    expect_error(target.post(build(target)))


# The protocol leaves to the server whether these are failures.
LENIENT = {"extra-input", "input-twice", "integer-range", "fraction-for-integer"}
COERCION = kserve_api(
    "The server can decide to coerce each element to the required type or return an error if an "
    "unexpected value"
    "is received."
)

for _kind, (_words, _build) in KINDS.items():
    _severity, _why = (Severity.SHOULD, COERCION) if _kind in LENIENT else (Severity.MUST, INFER_FAILURE)
    GROUP.add(Check(f"error.{_kind}", f"refused: {_words}", _severity, _why, "http", _refused(_build)))


def _wrong_bodies(target: Target) -> Iterator[tuple[str, Body]]:
    """Every wrong body that can be built for this model."""
    for kind, (_, build) in KINDS.items():
        with suppress(NotApplicable):
            yield kind, build(target)


@GROUP.must("error.unknown-model", "inference by an unknown model is an error that says so", INFER_FAILURE)
def _(target: Target) -> None:
    expect_error(target.post(bodies.plain(target.tensors()), path="/v2/models/no-such-model/infer"))


@GROUP.must(
    "error.unknown-version", "inference by an unknown version is an error that says so", INFER_FAILURE
)
def _(target: Target) -> None:
    _ = target.version
    path = f"{target.model_path}/versions/no-such-version/infer"
    expect_error(target.post(bodies.plain(target.tensors()), path=path))


@GROUP.should(
    "error.not-500",
    "what the caller did wrong is a 4xx, never the server's failure",
    triton("TRITONSERVER_ERROR_UNKNOWN, TRITONSERVER_ERROR_INVALID_ARG, ... | 400 | Bad Request"),
)
def _(target: Target) -> None:
    found = {kind: target.post(body).status for kind, body in _wrong_bodies(target)}
    wrong = {kind: status for kind, status in found.items() if status >= 500}
    expect(not wrong, f"{wrong}")


@GROUP.should(
    "error.content-type",
    "an error's content type is application/json, without parameters",
    kserve_client("the error's message is read only where the Content-Type equals application/json"),
)
def _(target: Target) -> None:
    for reply in (target.post(Body(b"{")), target.get("/v2/models/no-such-model"), target.get("/v2/nothing")):
        expect(
            reply.header("content-type") == "application/json",
            f"Content-Type {reply.header('content-type')!r}",
        )


@GROUP.should(
    "error.infer-not-found",
    "inference by an unknown model is 404",
    triton("TRITONSERVER_ERROR_NOT_FOUND | 404 | Not Found"),
)
def _(target: Target) -> None:
    status = target.post(bodies.plain(target.tensors()), path="/v2/models/no-such-model/infer").status
    expect(status == 404, f"status {status}")


@GROUP.should(
    "error.unknown-path",
    "an unknown path is 404 with an error in JSON",
    tritonclient('without "error" in the body it reports a failure to decode the response'),
)
def _(target: Target) -> None:
    reply = target.get("/v2/no/such/path")
    expect(reply.status == 404, f"status {reply.status}")
    expect_error(reply)


@GROUP.must(
    "error.method-allow",
    "a method that a path does not take is 405 with Allow",
    rfc9110("15.5.6", "The origin server MUST generate an Allow header field in a 405 response"),
)
def _(target: Target) -> None:
    for method, path, allowed in (("DELETE", target.infer_path, "POST"), ("POST", "/v2/health/live", "GET")):
        reply = target.call(method, path, b"")
        expect(reply.status == 405, f"{method} {path} is status {reply.status}")
        expect(allowed in (reply.header("allow") or ""), f"Allow is {reply.header('allow')!r}")


@GROUP.should(
    "error.method-body",
    "405 has an error in JSON",
    tritonclient('without "error" in the body it reports a failure to decode the response'),
)
def _(target: Target) -> None:
    expect_error(target.call("PUT", target.infer_path, b"{}"))


@GROUP.should(
    "error.keeps-connection",
    "after a refused request the connection still serves",
    practice("connection pools: one caller's mistake must not cost the next one its connection"),
)
def _(target: Target) -> None:
    with target.connect() as wire:
        for _ in range(2):
            wire.send(target.infer_request(Body(b"{")))
            expect(400 <= wire.reply().status < 500, "the wrong request is not refused")
        wire.send(target.infer_request(bodies.plain(target.tensors())))
        target.expect_baseline(bodies.read(wire.reply()).outputs)


@GROUP.should(
    "error.harmless",
    "after every wrong request, right ones are answered as before",
    practice("a server shared by many callers"),
)
def _(target: Target) -> None:
    for _, body in _wrong_bodies(target):
        target.post(body)
        target.expect_baseline(target.infer(bodies.plain(target.tensors())).outputs)
