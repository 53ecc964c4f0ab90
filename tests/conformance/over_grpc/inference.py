"""Inference over gRPC: typed and raw contents, in every datatype the model takes."""

from typing import Any

from conformance.checks import Check, Group, Run, Severity, expect
from conformance.contents import FIELDS
from conformance.over_grpc.calls import client, raw, read, typed
from conformance.over_grpc.messages import message
from conformance.sources import kserve_client, proto, tritonclient
from conformance.target import Target
from conformance.tensors import DATATYPES, FLOATS, Tensor, same

GROUP = Group("grpc")
RAW = proto(
    'The data contained in an input tensor can be represented in "raw" bytes form or in the '
    "repeated type that"
    "matches the tensor's data type."
)
PARAMETERS = proto("Optional inference parameters.")
KINDS: dict[str, Any] = {
    "bool_param": True,
    "int64_param": -7,
    "string_param": "x",
    "double_param": 0.5,
    "uint64_param": 2**63,
}


@GROUP.must("grpc.infer-raw", "inputs may be raw", RAW)
def _(target: Target) -> None:
    with client(target) as calls:
        target.expect_baseline(calls.infer(raw(target, target.tensors())))


@GROUP.must("grpc.infer-typed", "inputs may be typed", RAW)
def _(target: Target) -> None:
    with client(target) as calls:
        target.expect_baseline(calls.infer(typed(target, target.tensors())))


@GROUP.must(
    "grpc.outputs-whole",
    "raw contents come for each output or for none, and never beside typed ones",
    proto(
        "To use the raw representation 'raw_output_contents' must be initialized with data for "
        "each tensor in the"
        "same order as 'outputs'."
    ),
)
def _(target: Target) -> None:
    with client(target) as calls:
        for made in (raw(target, target.tensors()), typed(target, target.tensors())):
            found = calls.call("ModelInfer", made)
            read(found)
            both = found.raw_output_contents and any(entry.HasField("contents") for entry in found.outputs)
            expect(not both, "the response has raw and typed contents")


@GROUP.should(
    "grpc.outputs-raw",
    "outputs come raw, whatever the inputs were",
    tritonclient("InferResult.as_numpy reads raw_output_contents; on typed contents it fails"),
)
def _(target: Target) -> None:
    with client(target) as calls:
        for made in (raw(target, target.tensors()), typed(target, target.tensors())):
            found = calls.call("ModelInfer", made)
            expect(len(found.raw_output_contents) == len(found.outputs), "outputs come typed")


@GROUP.must(
    "grpc.model-name", "the response names the model", proto("The name of the model used for inference.")
)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.call("ModelInfer", raw(target, target.tensors()))
    expect(found.model_name == target.model, f"model_name is {found.model_name!r}")


@GROUP.must("grpc.id", "the id comes back", proto("The id of the inference request if one was specified."))
def _(target: Target) -> None:
    with client(target) as calls:
        for sent in ("42", "ä 日本 \n"):
            found = calls.call("ModelInfer", raw(target, target.tensors(), id=sent)).id
            expect(found == sent, f"id {sent!r} came back as {found!r}")


@GROUP.must(
    "grpc.outputs",
    "outputs have the datatypes and shapes that the metadata says",
    proto("The output tensors holding inference results."),
)
def _(target: Target) -> None:
    with client(target) as calls:
        found = calls.call("ModelInfer", raw(target, target.tensors()))
    specs = {spec.name: spec for spec in target.outputs}
    expect(
        sorted(specs) == sorted(entry.name for entry in found.outputs), "other outputs than in the metadata"
    )
    for entry in found.outputs:
        spec = specs[entry.name]
        expect(entry.datatype == spec.datatype, f"{entry.name} is {entry.datatype}")
        expect(spec.admits(list(entry.shape)), f"{entry.name} has shape {list(entry.shape)}")


@GROUP.must(
    "grpc.select",
    "only the outputs that are asked for come",
    proto(
        "The requested output tensors for the inference. Optional, if not specified all outputs produced by "
        "the model will be returned."
    ),
)
def _(target: Target) -> None:
    with client(target) as calls:
        for spec in target.outputs:
            made = raw(target, target.tensors())
            made.outputs.add(name=spec.name)
            target.expect_baseline(calls.infer(made), [spec.name])


@GROUP.must(
    "grpc.version",
    "a version may be asked for",
    proto(
        "The version of the model to use for inference. If not given the server will choose a version based on "
        "the model and internal policy."
    ),
)
def _(target: Target) -> None:
    with client(target) as calls:
        made = raw(target, target.tensors(), model_version=target.version)
        target.expect_baseline(calls.infer(made))


@GROUP.must("grpc.parameters", "a request may have parameters of each kind", PARAMETERS)
def _(target: Target) -> None:
    with client(target) as calls:
        for kind, value in KINDS.items():
            made = raw(target, target.tensors())
            parameter = message("InferParameter", **{kind: value})
            made.parameters["x"].CopyFrom(parameter)
            made.inputs[0].parameters["x"].CopyFrom(parameter)
            target.expect_baseline(calls.infer(made))


@GROUP.should(
    "grpc.unknown-fields",
    "fields that the message does not have are ignored",
    kserve_client(
        "definitions of the messages differ between releases; protobuf readers skip what they do not know"
    ),
)
def _(target: Target) -> None:
    unknown = b"\xfa\x3e\x03abc"  # field 1007, three bytes
    with client(target) as calls:
        made = raw(target, target.tensors()).SerializeToString() + unknown
        target.expect_baseline(calls.infer(made))


@GROUP.must(
    "grpc.batch",
    "every row of a batch is answered",
    proto(
        "For each tensor, the size of this content must match what is expected by the tensor's shape and data type."
    ),
)
def _(target: Target) -> None:
    target.need_rows()
    with client(target) as calls:
        for rows in (1, 17, 300):
            outputs = calls.infer(raw(target, target.tensors(rows)))
            for spec in target.outputs:
                if spec.varies:
                    expect(len(outputs[spec.name]) == rows, f"{len(outputs[spec.name])} rows of {rows}")


@GROUP.should(
    "grpc.large",
    "a message of more than 4 MB is taken",
    tritonclient(
        "it sets no limit of its own to messages; gRPC servers refuse more than 4 MB unless told otherwise"
    ),
)
def _(target: Target) -> None:
    target.need_rows()
    row = sum(len(tensor.content()) for tensor in target.tensors(100)) / 100
    rows = int(5_000_000 / row)
    with client(target) as calls:
        outputs = calls.infer(raw(target, target.tensors(rows)))
    expect(all(len(outputs[spec.name]) == rows for spec in target.outputs if spec.varies), "rows are missing")


@GROUP.should(
    "grpc.nan",
    "NaN is a missing value, as null is in JSON",
    kserve_client("a table with gaps arrives so"),
)
def _(target: Target) -> None:
    position = target.input_of(*FLOATS)
    tensors = target.tensors()
    values = tensors[position].values.copy()
    values.flat[0] = float("nan")
    tensors[position] = Tensor(tensors[position].name, tensors[position].datatype, values)
    with client(target) as calls:
        one = calls.infer(raw(target, tensors))
        other = calls.infer(typed(target, tensors))
    expect(all(same(one[name], other[name]) for name in one), "raw and typed answers differ")


def _typed(datatype: str) -> Run:
    """One input typed; the others too, as a request is either raw or typed."""

    def run(target: Target) -> None:
        target.input_of(datatype)
        with client(target) as calls:
            target.expect_baseline(calls.infer(typed(target, target.tensors())))

    return run


def _raw(datatype: str) -> Run:
    def run(target: Target) -> None:
        target.input_of(datatype)
        with client(target) as calls:
            target.expect_baseline(calls.infer(raw(target, target.tensors())))

    return run


_FP16 = proto("Note that the FP16 and BF16 data types must be represented as raw content")
for _name in DATATYPES:
    _cited = _FP16 if _name == "FP16" else RAW
    if _name in FIELDS:
        _check = Check(f"grpc.{_name}", f"{_name} typed", Severity.MUST, _cited, "grpc", _typed(_name))
        GROUP.add(_check)
    _check = Check(f"grpc.{_name}-raw", f"{_name} raw", Severity.MUST, _cited, "grpc", _raw(_name))
    GROUP.add(_check)
