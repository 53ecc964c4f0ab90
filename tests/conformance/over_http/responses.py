"""What the response to a valid request in JSON has to look like."""

from typing import Any

from conformance import bodies
from conformance.checks import Group, expect, need
from conformance.sources import INFER_SUCCESS, grpc, practice, rest, schema
from conformance.target import Target
from conformance.tensors import FLOATS, same

GROUP = Group("http")
ID = rest(
    '"id" : An identifier for this request. Optional, but if specified this identifier must be returned '
    "in the response."
)
OUTPUTS = rest(
    "Optional, if not specified all outputs produced by the model will be returned using default "
    "*$request_output* settings."
)
RESPONSE = rest(
    '$inference_response = { "model_name" : $string, "model_version" : $string #optional, "id" : $string, '
    '"parameters" : $parameters #optional, "outputs" : [ $response_output, ... ] }'
)
JSON = rest("The HTTP/REST API uses JSON because it is widely supported and language independent.")


def document(target: Target, **more: Any) -> dict[str, Any]:
    """The document of a plain request."""
    found = target.infer(bodies.plain(target.tensors(), **more)).document
    return dict(found)


@GROUP.must("infer.status", "a success is status 200", INFER_SUCCESS)
def _(target: Target) -> None:
    status = target.post(bodies.plain(target.tensors())).status
    expect(status == 200, f"status {status}")


@GROUP.must(
    "infer.content-type",
    "a JSON response is application/json",
    schema("'200': content: application/json: schema: '#/components/schemas/inference_response'"),
)
def _(target: Target) -> None:
    found = target.post(bodies.plain(target.tensors())).content_type
    expect(found == "application/json", f"Content-Type is {found!r}")


@GROUP.must(
    "infer.model-name",
    "the response names the model",
    rest('"model_name" : The name of the model used for inference.'),
)
def _(target: Target) -> None:
    found = document(target).get("model_name")
    expect(found == target.model, f"model_name is {found!r}")


@GROUP.must("infer.fields", "the response's other fields have their types, or are not there", RESPONSE)
def _(target: Target) -> None:
    found = document(target)
    for key, kind in (("model_version", str), ("id", str), ("parameters", dict)):
        expect(key not in found or isinstance(found[key], kind), f"{key} is {found.get(key)!r}")
    for entry in found["outputs"]:
        if "parameters" in entry:
            expect(
                isinstance(entry["parameters"], dict), f"parameters of an output is {entry['parameters']!r}"
            )


@GROUP.should(
    "infer.model-version",
    "the response's version is one that the metadata names",
    rest('"model_version" : The specific model version used for inference.'),
)
def _(target: Target) -> None:
    found = document(target).get("model_version")
    need(found is not None, "the response names no version")
    expect(found in (target.metadata.get("versions") or []), f"model_version is {found!r}")


@GROUP.must("infer.id", "the id comes back", ID)
def _(target: Target) -> None:
    for sent in ("42", "b5c8a9f0-1d2e-4f3a-8b7c-6d5e4f3a2b1c"):
        found = document(target, id=sent).get("id")
        expect(found == sent, f"id {sent!r} came back as {found!r}")


@GROUP.must("infer.id-text", "any text may be an id", ID)
def _(target: Target) -> None:
    sent = 'ä "quoted" \\ 日本 \U0001f600 \n end'
    found = document(target, id=sent).get("id")
    expect(found == sent, f"{sent!r} came back as {found!r}")


@GROUP.must("infer.all-outputs", "without outputs all of them come", OUTPUTS)
def _(target: Target) -> None:
    found = [entry.get("name") for entry in document(target)["outputs"]]
    wanted = [spec.name for spec in target.outputs]
    expect(sorted(found) == sorted(wanted), f"outputs {found} instead of {wanted}")


@GROUP.should(
    "infer.no-outputs-listed",
    "an empty list of outputs is as good as none",
    grpc("Optional, if not specified all outputs produced by the model will be returned."),
)
def _(target: Target) -> None:
    target.expect_baseline(target.infer(bodies.plain(target.tensors(), outputs=[])).outputs)


@GROUP.must(
    "infer.output-datatypes",
    "outputs have the datatypes that the metadata says",
    rest(
        '"datatype" : The data-type of the tensor elements as defined in [Tensor Data '
        "Types](#tensor-data-types)."
    ),
)
def _(target: Target) -> None:
    wanted = {spec.name: spec.datatype for spec in target.outputs}
    for entry in document(target)["outputs"]:
        expect(entry["datatype"] == wanted[entry["name"]], f"{entry['name']} is {entry['datatype']}")


@GROUP.must(
    "infer.output-shapes",
    "outputs have the shapes that the metadata says",
    rest('"shape" : The shape of the tensor. Variable-size dimensions are specified as -1.'),
)
def _(target: Target) -> None:
    specs = {spec.name: spec for spec in target.outputs}
    for entry in document(target)["outputs"]:
        spec = specs[entry["name"]]
        expect(spec.admits(entry["shape"]), f"{spec.name} has shape {entry['shape']}, not {list(spec.shape)}")


@GROUP.must(
    "infer.select",
    "only the outputs that are asked for come",
    rest('"outputs" : The output tensors requested for this inference.'),
)
def _(target: Target) -> None:
    for spec in target.outputs:
        answer = target.infer(bodies.plain(target.tensors(), outputs=[{"name": spec.name}]))
        target.expect_baseline(answer.outputs, [spec.name])


@GROUP.should(
    "infer.select-order",
    "outputs come in the order in which they are asked for",
    practice("clients that read outputs by position, as gRPC's raw_output_contents have to be read"),
)
def _(target: Target) -> None:
    names = [spec.name for spec in reversed(target.outputs)]
    need(len(names) > 1, "the model has one output")
    answer = target.infer(bodies.plain(target.tensors(), outputs=[{"name": name} for name in names]))
    expect(list(answer.outputs) == names, f"order {list(answer.outputs)} instead of {names}")


@GROUP.must("infer.nan-is-json", "a response to missing values is still JSON", JSON)
def _(target: Target) -> None:
    position = target.input_of(*FLOATS)
    replies = [target.post(body) for body in bodies.one_missing(target.tensors(), position)]
    answered = [reply for reply in replies if reply.status == 200]
    need(answered, "the server takes no missing values")
    for reply in answered:
        bodies.read(reply)


@GROUP.should(
    "infer.deterministic", "the same request has the same answer", practice("caches, and tests of models")
)
def _(target: Target) -> None:
    body = bodies.plain(target.tensors(), id="same")
    first, second = (target.infer(body).outputs for _ in range(2))
    expect(all(same(first[name], second[name]) for name in first), "two answers differ")
