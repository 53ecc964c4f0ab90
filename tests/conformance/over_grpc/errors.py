"""Calls that cannot be answered: each is refused with a status that says whose fault it was."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc

from conformance.checks import Check, Group, NotApplicable, Run, Severity, expect, need
from conformance.contents import FIELDS
from conformance.over_grpc.calls import Code, client, raw, request, typed
from conformance.sources import GRPC_FAILURE, kserve_client, practice, proto, triton
from conformance.target import Target

GROUP = Group("grpc")
Build = Callable[[Target], Any]


def _changed(change: Callable[[Any], object]) -> Build:
    """A raw request with one thing wrong."""

    def build(target: Target) -> Any:
        made = raw(target, target.tensors())
        change(made)
        return made

    return build


def _typed_changed(change: Callable[[Any, str], object]) -> Build:
    """A typed request with one thing wrong; `change` gets the first input and the field of its contents."""

    def build(target: Target) -> Any:
        made = typed(target, target.tensors())
        change(made.inputs[0], FIELDS[made.inputs[0].datatype])
        return made

    return build


def _set(**fields: Any) -> Build:
    def change(made: Any) -> None:
        for name, value in fields.items():
            setattr(made.inputs[0], name, value)

    return _changed(change)


def _shape(shape: Callable[[list[int]], list[int]]) -> Build:
    def change(made: Any) -> None:
        wanted = shape(list(made.inputs[0].shape))
        del made.inputs[0].shape[:]
        made.inputs[0].shape.extend(wanted)

    return _changed(change)


def _resized(change: Callable[[bytes], bytes]) -> Build:
    def build(target: Target) -> Any:
        made = raw(target, target.tensors())
        made.raw_input_contents[0] = change(made.raw_input_contents[0])
        return made

    return build


def _both(target: Target) -> Any:
    made = typed(target, target.tensors())
    made.raw_input_contents.extend(tensor.content() for tensor in target.tensors())
    return made


def _wrong_field(entry: Any, field: str) -> None:
    values = list(getattr(entry.contents, field))
    entry.contents.ClearField(field)
    other = "int64_contents" if field != "int64_contents" else "fp64_contents"
    getattr(entry.contents, other).extend([1] * len(values))


def _missing_input(target: Target) -> Any:
    need(len(target.inputs) > 1, "the model has one input")
    return raw(target, target.tensors()[:-1])


def _unknown_version(target: Target) -> Any:
    _ = target.version
    return raw(target, target.tensors(), model_version="no-such-version")


def _half(entry: Any, field: str) -> None:
    values = getattr(entry.contents, field)
    del values[-1]


def _extra(entry: Any, field: str) -> None:
    values = getattr(entry.contents, field)
    values.append(values[0])


NOT_FOUND: dict[str, tuple[str, Build]] = {
    "unknown-model": (
        "an unknown model",
        _changed(lambda made: setattr(made, "model_name", "no-such-model")),
    ),
    "unknown-version": ("an unknown version", _unknown_version),
}
INVALID: dict[str, tuple[str, Build]] = {
    "no-inputs": ("no inputs", request),
    "unknown-input": ("an input that the model does not have", _set(name="no-such-input")),
    "missing-input": ("an input left out", _missing_input),
    "input-twice": (
        "an input given twice",
        lambda target: raw(target, [*target.tensors(), target.tensors()[0]]),
    ),
    "unknown-datatype": ("a datatype that the protocol does not have", _set(datatype="FP99")),
    "other-datatype": (
        "a datatype that the model does not take",
        _changed(
            lambda made: setattr(
                made.inputs[0], "datatype", "FP64" if made.inputs[0].datatype != "FP64" else "FP32"
            )
        ),
    ),
    "more-dimensions": ("a shape with one dimension too many", _shape(lambda shape: [*shape, 1])),
    "other-rows": (
        "a shape of more rows than there are bytes",
        _shape(lambda shape: [shape[0] + 1, *shape[1:]]),
    ),
    "negative-size": ("a negative size in a shape", _shape(lambda shape: [-1, *shape[1:]])),
    "huge-shape": ("a shape of 2^62 rows", _shape(lambda shape: [2**62, *shape[1:]])),
    "too-few-bytes": ("raw contents that are too short", _resized(lambda content: content[:-1])),
    "too-many-bytes": ("raw contents that are too long", _resized(lambda content: content + content[:4])),
    "too-few-elements": ("too few typed elements", _typed_changed(_half)),
    "too-many-elements": ("too many typed elements", _typed_changed(_extra)),
    "wrong-contents": ("typed contents of another datatype", _typed_changed(_wrong_field)),
    "no-contents": (
        "an input without contents",
        _typed_changed(lambda entry, _: entry.ClearField("contents")),
    ),
    "raw-and-typed": ("raw and typed contents in one request", _both),
    "extra-raw": (
        "more raw contents than inputs",
        _changed(lambda made: made.raw_input_contents.append(b"1234")),
    ),
    "unknown-output": (
        "an output that the model does not have",
        _changed(lambda made: made.outputs.add(name="no-such-output")),
    ),
}
SIZE = proto(
    "For each tensor, the size of this content must match what is expected by the tensor's shape and data type."
)
CITED = {
    "raw-and-typed": proto(
        "If this field is specified then InferInputTensor::contents must not be specified for any "
        "input tensor."
    ),
    "too-few-bytes": SIZE,
    "too-many-bytes": SIZE,
}


def _refused(build: Build) -> Run:
    def run(target: Target) -> None:
        made = build(target)
        with client(target) as calls:
            calls.refusal("ModelInfer", made)

    return run


for _kind, (_words, _build) in {**NOT_FOUND, **INVALID}.items():
    _severity = Severity.SHOULD if _kind in {"input-twice", "negative-size"} else Severity.MUST
    _cited = CITED.get(_kind, GRPC_FAILURE)
    GROUP.add(Check(f"grpc-error.{_kind}", f"refused: {_words}", _severity, _cited, "grpc", _refused(_build)))


def _requests(target: Target, kinds: dict[str, tuple[str, Build]]) -> Iterator[tuple[str, Any]]:
    for kind, (_, build) in kinds.items():
        with suppress(NotApplicable):
            yield kind, build(target)


def _expect_code(target: Target, kinds: dict[str, tuple[str, Build]], wanted: Any) -> None:
    with client(target) as calls:
        found = {kind: calls.refusal("ModelInfer", made)[0] for kind, made in _requests(target, kinds)}
    wrong = {kind: code.name for kind, code in found.items() if code is not wanted}
    expect(not wrong, f"{wrong}")


@GROUP.should(
    "grpc-error.not-found",
    "an unknown model or version is NOT_FOUND",
    triton("TRITONSERVER_ERROR_NOT_FOUND | 404 | Not Found"),
)
def _(target: Target) -> None:
    _expect_code(target, NOT_FOUND, Code.NOT_FOUND)


@GROUP.should(
    "grpc-error.invalid",
    "what the caller did wrong is INVALID_ARGUMENT",
    kserve_client("it tries UNAVAILABLE again; UNKNOWN and INTERNAL read as failures of the server"),
)
def _(target: Target) -> None:
    _expect_code(target, INVALID, Code.INVALID_ARGUMENT)


@GROUP.must(
    "grpc-error.not-a-message",
    "bytes that are no message are refused",
    practice("gRPC: a request message that cannot be parsed ends the call with an error"),
)
def _(target: Target) -> None:
    with client(target) as calls:
        calls.refusal("ModelInfer", b"\xff\xff\xff\xff")


@GROUP.should(
    "grpc-error.harmless",
    "after every wrong call, right ones are answered as before",
    practice("a server shared by many callers"),
)
def _(target: Target) -> None:
    with client(target) as calls:
        for _, made in _requests(target, {**NOT_FOUND, **INVALID}):
            with suppress(grpc.RpcError):
                calls.try_call("ModelInfer", made)
            target.expect_baseline(calls.infer(raw(target, target.tensors())))
