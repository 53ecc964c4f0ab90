"""Inference in JSON: what a valid request may look like, and what its response has to."""

import json
from typing import Any

from conformance import bodies
from conformance.checks import Group, expect, need
from conformance.sources import kserve_api, kserve_client, practice, rest, rfc
from conformance.target import Target
from conformance.tensors import FLOATS, Tensor, same

GROUP = Group("http")
PARAMETERS = kserve_api(
    "The *$parameters* JSON describes zero or more “name”/”value” pairs, where the “name” is the name of the "
    "parameter and the “value” is a $string, $number, or $boolean."
)
LAYOUT = kserve_api(
    "Tensor elements may be presented in their nature multi-dimensional representation, "
    "or as a flattened one-dimensional representation."
)
JSON = rest("The HTTP/REST API uses JSON because it is widely supported and language independent.")
VALUES: dict[str, Any] = {"a text": "x", "a number": 7, "a fraction": 0.5, "a boolean": True}


def document(target: Target, **more: Any) -> dict[str, Any]:
    """The document of a plain request."""
    found = target.infer(bodies.plain(target.tensors(), **more)).document
    return dict(found)


@GROUP.must("infer.flat", "data may be flat", LAYOUT)
def _(target: Target) -> None:
    target.expect_baseline(target.infer(bodies.plain(target.tensors())).outputs)


@GROUP.must("infer.nested", "data may be nested", LAYOUT)
def _(target: Target) -> None:
    need(any(len(spec.shape) > 1 for spec in target.inputs), "every input has one dimension")
    target.expect_baseline(target.infer(bodies.plain(target.tensors(), nested=True)).outputs)


@GROUP.must("infer.parameters", "a request may have parameters of each kind", PARAMETERS)
def _(target: Target) -> None:
    for parameters in ({}, *({name: value} for name, value in VALUES.items())):
        target.expect_baseline(target.infer(bodies.plain(target.tensors(), parameters=parameters)).outputs)


@GROUP.must("infer.input-parameters", "an input may have parameters", PARAMETERS)
def _(target: Target) -> None:
    inputs = [tensor.entry(parameters=VALUES) for tensor in target.tensors()]
    target.expect_baseline(target.infer(bodies.as_json({"inputs": inputs})).outputs)


@GROUP.must("infer.output-parameters", "a requested output may have parameters", PARAMETERS)
def _(target: Target) -> None:
    outputs = [{"name": spec.name, "parameters": VALUES} for spec in target.outputs]
    target.expect_baseline(target.infer(bodies.plain(target.tensors(), outputs=outputs)).outputs)


@GROUP.must(
    "infer.version-path",
    "a version may be named in the path",
    rest("POST v2/models/<model_name>[/versions/<model_version>]/infer"),
)
def _(target: Target) -> None:
    reply = target.post(bodies.plain(target.tensors()), path=f"{target.version_path}/infer")
    target.expect_baseline(bodies.read(reply).outputs)


@GROUP.should(
    "infer.unknown-fields",
    "fields that the protocol does not know are ignored",
    kserve_client("InferenceRESTClient sends the field model_name inside the body"),
)
def _(target: Target) -> None:
    inputs = [tensor.entry(comment={"by": ["me"]}) for tensor in target.tensors()]
    body = bodies.as_json({"model_name": target.model, "x-mine": [1, {"y": None}], "inputs": inputs})
    target.expect_baseline(target.infer(body).outputs)


@GROUP.must(
    "infer.input-order",
    "inputs are known by name, in any order",
    rest('"name" : The name of the input tensor.'),
)
def _(target: Target) -> None:
    need(len(target.inputs) > 1, "the model has one input")
    target.expect_baseline(target.infer(bodies.plain(target.tensors()[::-1])).outputs)


@GROUP.must(
    "infer.key-order",
    "members of an object may come in any order",
    rfc(8259, "An object is an unordered collection of zero or more name/value pairs"),
)
def _(target: Target) -> None:
    inputs = [dict(reversed(tensor.entry().items())) for tensor in target.tensors()]
    target.expect_baseline(target.infer(bodies.as_json({"inputs": inputs, "id": "last"})).outputs)


@GROUP.must(
    "infer.whitespace",
    "JSON may be written with spaces and line ends",
    rfc(8259, "Insignificant whitespace is allowed before or after any of the six structural characters."),
)
def _(target: Target) -> None:
    text = json.dumps({"inputs": [tensor.entry() for tensor in target.tensors()]}, indent="\t")
    body = bodies.Body(f" \r\n{text}\n ".encode())
    target.expect_baseline(target.infer(body).outputs)


@GROUP.must("infer.escapes", "names may be written with escapes", rfc(8259, "Any character may be escaped."))
def _(target: Target) -> None:
    text = bodies.plain(target.tensors()).content.replace(b'"inputs"', b'"\\u0069nputs"')
    target.expect_baseline(target.infer(bodies.Body(text)).outputs)


@GROUP.must(
    "infer.numbers",
    "a number may be written in every way of JSON",
    kserve_api(
        "Each element of the array may be an integer, floating-point number, string or boolean value."
    ),
)
def _(target: Target) -> None:
    position = target.input_of(*FLOATS)
    one = target.tensors()
    changed = one[position].values.round()
    one[position] = Tensor(one[position].name, one[position].datatype, changed)
    entries = [tensor.entry() for tensor in one]
    expected = target.infer(bodies.as_json({"inputs": entries})).outputs
    for write in (int, lambda value: float(f"{value:e}")):
        entries[position]["data"] = [write(value) for value in changed.ravel().tolist()]
        found = target.infer(bodies.as_json({"inputs": entries})).outputs
        expect(
            all(same(found[name], expected[name]) for name in expected), "the same numbers answer differently"
        )


@GROUP.should(
    "infer.null",
    "null in floating-point data is a missing value",
    kserve_client("its JSON library, orjson, writes NaN as null; a table with gaps arrives so"),
)
def _(target: Target) -> None:
    position = target.input_of(*FLOATS)
    entries = [tensor.entry() for tensor in target.tensors()]
    entries[position]["data"][0] = None
    reply = target.post(bodies.as_json({"inputs": entries}))
    expect(reply.status == 200, f"status {reply.status}")


@GROUP.must(
    "infer.batch",
    "every row of a batch is answered",
    rest(
        "If the input is batched, the shape and data must represent the full shape and contents "
        "of the entire batch."
    ),
)
def _(target: Target) -> None:
    target.need_rows()
    varying = [spec.name for spec in target.outputs if spec.varies]
    for rows in (1, 2, 17, 300):
        answer = target.infer(bodies.plain(target.tensors(rows)))
        for name in varying:
            expect(len(answer.outputs[name]) == rows, f"{len(answer.outputs[name])} rows of {rows} in {name}")


@GROUP.should(
    "infer.row-order",
    "answers stand in the order of the rows",
    kserve_api("Tensor data must be presented in row-major order of the tensor elements."),
)
def _(target: Target) -> None:
    target.need_rows()
    backwards = target.infer(bodies.plain([tensor.reversed() for tensor in target.tensors()])).outputs
    for spec in target.outputs:
        if spec.varies:
            expect(
                same(backwards[spec.name][::-1], target.baseline[spec.name]),
                f"{spec.name} is in another order",
            )


@GROUP.should(
    "infer.no-rows",
    "no rows are answered with none, or refused",
    rest("Each dimension must be an integer representable as an unsigned 64-bit integer value."),
)
def _(target: Target) -> None:
    target.need_rows()
    reply = target.post(bodies.plain(target.tensors(0)))
    if reply.status == 200:
        outputs = bodies.read(reply).outputs
        wrong = [spec.name for spec in target.outputs if spec.varies and len(outputs[spec.name])]
        expect(not wrong, f"{wrong} have rows")
    expect(reply.status < 500, f"status {reply.status}")


@GROUP.should(
    "infer.large",
    "a body of 4 MB is taken",
    practice("a table of some ten thousand rows; no limit is in the protocol"),
)
def _(target: Target) -> None:
    target.need_rows()
    row = len(bodies.plain(target.tensors(100)).content) / 100
    rows = int(4_000_000 / row)
    answer = target.infer(bodies.plain(target.tensors(rows)))
    for spec in target.outputs:
        if spec.varies:
            expect(len(answer.outputs[spec.name]) == rows, f"{len(answer.outputs[spec.name])} rows of {rows}")
