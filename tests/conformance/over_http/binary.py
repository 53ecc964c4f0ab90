"""The binary tensor data extension: tensors as bytes behind the JSON, both ways."""

from conformance import bodies
from conformance.bodies import LENGTH, Body
from conformance.checks import Group, expect, need
from conformance.sources import binary, tritonclient
from conformance.target import Target
from conformance.tensors import FLOATS, same
from conformance.wire import Reply

GROUP = Group("http")
ALL = {"binary_data_output": True}
INPUT = binary(
    '"binary_data_size" : int64 parameter indicating the size of the tensor binary data, in bytes.'
)
OUTPUT = binary(
    '"binary_data" : bool parameter that is true if the output should be returned as binary data and false '
    "(or not given) if the tensor should be returned as JSON."
)
EVERY_OUTPUT = binary(
    '"binary_data_output" : bool parameter that is true if all outputs should be returned as binary data and '
    "false (or not given) if the outputs should be returned as JSON."
)
HEADER = binary(
    "If any binary data is present in the request or response the Inference-Header-Content-Length "
    "header must be"
    "provided to give the length of the JSON object, and Content-Length continues to give the "
    "full body length"
    "(as HTTP requires)."
)
RAW = binary(
    "To send a raw binary request, the Inference-Header-Content-Length header must be provided "
    "with value 0 to"
    "indicate that the request body doesn't include the inference header."
)
ELEMENT = binary(
    "For BYTES type an element is represented by a 4-byte unsigned integer giving the length followed by the "
    "actual bytes."
)


def _all_binary(target: Target) -> Reply:
    return target.post(bodies.binary(target.tensors(), parameters=ALL))


@GROUP.should("binary.input", "inputs may be bytes", INPUT)
def _(target: Target) -> None:
    answer = target.infer(bodies.binary(target.tensors()))
    target.expect_baseline(answer.outputs)
    expect(not answer.binary, f"outputs {sorted(answer.binary)} come as bytes, though nobody asked")


@GROUP.should("binary.output", "an output comes as bytes when asked for", OUTPUT)
def _(target: Target) -> None:
    for spec in target.outputs:
        wanted = [{"name": spec.name, "parameters": {"binary_data": True}}]
        answer = target.infer(bodies.plain(target.tensors(), outputs=wanted))
        target.expect_baseline(answer.outputs, [spec.name])
        expect(answer.binary == {spec.name}, f"{spec.name} comes as JSON")


@GROUP.should("binary.all-outputs", "all outputs come as bytes when asked for", EVERY_OUTPUT)
def _(target: Target) -> None:
    answer = bodies.read(_all_binary(target))
    target.expect_baseline(answer.outputs)
    expect(answer.binary == set(answer.outputs), f"only {sorted(answer.binary)} come as bytes")


@GROUP.should(
    "binary.override",
    "what is said of an output overrides what is said of all",
    binary('If "binary_data" is specified on an output it overrides this setting.'),
)
def _(target: Target) -> None:
    first, *others = [spec.name for spec in target.outputs]
    wanted = [{"name": first, "parameters": {"binary_data": False}}, *({"name": name} for name in others)]
    answer = target.infer(bodies.plain(target.tensors(), outputs=wanted, parameters=ALL))
    target.expect_baseline(answer.outputs)
    expect(answer.binary == set(others), f"{sorted(answer.binary)} come as bytes instead of {others}")


@GROUP.should("binary.mixed-inputs", "inputs may be bytes and JSON in one request", INPUT)
def _(target: Target) -> None:
    need(len(target.inputs) > 1, "the model has one input")
    for spec in target.inputs:
        answer = target.infer(bodies.binary(target.tensors(), only={spec.name}))
        target.expect_baseline(answer.outputs)


@GROUP.should("binary.mixed-outputs", "outputs may be bytes and JSON in one response", OUTPUT)
def _(target: Target) -> None:
    need(len(target.outputs) > 1, "the model has one output")
    names = [spec.name for spec in target.outputs]
    wanted = [{"name": name, "parameters": {"binary_data": name == names[-1]}} for name in names]
    answer = target.infer(bodies.plain(target.tensors(), outputs=wanted))
    target.expect_baseline(answer.outputs)
    expect(answer.binary == {names[-1]}, f"{sorted(answer.binary)} come as bytes")


@GROUP.should("binary.lengths", "the response says how long its JSON and its body are", HEADER)
def _(target: Target) -> None:
    reply = _all_binary(target)
    expect(reply.status == 200, f"status {reply.status}")
    length = reply.header(LENGTH) or ""
    expect(length.isdigit(), f"{LENGTH} is {length!r}")
    entries = bodies.listed(reply.json(reply.body[: int(length)]), "outputs")
    sizes = [(entry.get("parameters") or {}).get("binary_data_size", 0) for entry in entries]
    expect(len(reply.body) == int(length) + sum(sizes), f"{len(reply.body)} bytes are not {length} + {sizes}")


@GROUP.should("binary.no-data", "an output that comes as bytes has no data in the JSON", INPUT)
def _(target: Target) -> None:
    document = bodies.read(_all_binary(target)).document
    found = [entry["name"] for entry in document["outputs"] if "data" in entry]
    expect(not found, f"{found} have both")


@GROUP.should(
    "binary.content-type",
    "a response with bytes is application/octet-stream",
    binary("Content-Type: application/octet-stream"),
)
def _(target: Target) -> None:
    reply = _all_binary(target)
    expect(reply.status == 200, f"status {reply.status}")
    expect(reply.content_type == "application/octet-stream", f"Content-Type is {reply.content_type!r}")


@GROUP.should(
    "binary.json-response",
    "a response without bytes is plain JSON, though the request had some",
    tritonclient("without the header it reads the whole body as JSON"),
)
def _(target: Target) -> None:
    reply = target.post(bodies.binary(target.tensors()))
    target.expect_baseline(bodies.read(reply).outputs)
    length = reply.header(LENGTH)
    expect(
        length in {None, str(len(reply.body))}, f"{LENGTH} is {length}, the body has {len(reply.body)} bytes"
    )
    expect(reply.content_type == "application/json", f"Content-Type is {reply.content_type!r}")


@GROUP.should(
    "binary.header-case",
    "the header's name may be written in any case",
    tritonclient("over HTTP/2 and through proxies every header name is in lower case"),
)
def _(target: Target) -> None:
    body = bodies.binary(target.tensors())
    for name in (LENGTH.lower(), LENGTH.upper()):
        target.expect_baseline(target.infer(body, [(name, str(body.length))]).outputs)


@GROUP.should("binary.header-without-bytes", "the header may be there where no bytes follow", HEADER)
def _(target: Target) -> None:
    content = bodies.plain(target.tensors()).content
    target.expect_baseline(target.infer(Body(content, len(content))).outputs)


@GROUP.should(
    "binary.no-content-type",
    "the header alone says that bytes follow",
    tritonclient("it sends no Content-Type, for JSON and for bytes alike"),
)
def _(target: Target) -> None:
    body = bodies.binary(target.tensors(), parameters=ALL)
    target.expect_baseline(target.infer(body, [(LENGTH, str(body.length))]).outputs)


@GROUP.should("binary.any-content-type", "whatever Content-Type says, the header decides", HEADER)
def _(target: Target) -> None:
    body = bodies.binary(target.tensors())
    for kind in ("application/json", "application/octet-stream", "application/x-www-form-urlencoded"):
        headers = [("Content-Type", kind), (LENGTH, str(body.length))]
        target.expect_baseline(target.infer(body, headers).outputs)


@GROUP.should("binary.raw", "a body may be nothing but the bytes of the only input", RAW)
def _(target: Target) -> None:
    need(len(target.inputs) == 1, "the model has several inputs")
    spec = target.inputs[0]
    need(spec.shape.count(-1) <= 1 and spec.datatype != "BYTES", "the shape cannot be told from the bytes")
    tensor = target.tensors(1)[0]
    answer = target.infer(Body(tensor.content(), 0))
    expected = target.infer(bodies.plain([tensor])).outputs
    expect(answer.binary == set(expected), f"only {sorted(answer.binary)} come as bytes")
    expect(
        all(same(answer.outputs[name], expected[name]) for name in expected), "another answer than to JSON"
    )


@GROUP.should("binary.bytes-elements", "each BYTES element has its length before it", ELEMENT)
def _(target: Target) -> None:
    names = [spec.name for spec in target.outputs if spec.datatype == "BYTES"]
    need(names, "the model has no BYTES output")
    answer = bodies.read(_all_binary(target))
    target.expect_baseline({name: answer.outputs[name] for name in names}, names)
    expect(answer.binary >= set(names), f"{names} come as JSON")


@GROUP.should("binary.nan", "NaN in bytes is null in JSON", INPUT)
def _(target: Target) -> None:
    position = target.input_of(*FLOATS)
    with_null, with_nan = bodies.one_missing(target.tensors(), position)
    found = target.infer(with_nan).outputs
    expected = target.infer(with_null).outputs
    expect(all(same(found[name], expected[name]) for name in expected), "another answer than to null")
