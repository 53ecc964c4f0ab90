"""What may be broken, each with the checks that have to see it and no others."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from conformance.contents import FIELDS
from conformance.faulty import Alter, Change, Codes, Fault, same_bytes
from conformance.over_grpc.calls import Code
from conformance.over_grpc.messages import message_class
from conformance.tensors import from_bytes
from conformance.wire import Reply

Edit = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class HttpFault:
    """A change of replies, or of requests on their way, and the ids of the checks that fail by it."""

    seen_by: tuple[str, ...]
    fault: Fault = lambda reply: reply
    alter: Alter = same_bytes


@dataclass(frozen=True)
class GrpcFault:
    """A change of responses or of status codes, and the ids of the checks that fail by it."""

    seen_by: tuple[str, ...]
    change: Change = lambda _, answer: answer
    codes: Codes = lambda code: code


def _json(edit: Edit, *, having: str) -> Fault:
    """Edit JSON replies that have this key."""

    def fault(reply: Reply) -> Reply:
        try:
            document = json.loads(reply.body)
        except ValueError:
            return reply
        if not isinstance(document, dict) or having not in document:
            return reply
        edit(document)
        return replace(reply, body=json.dumps(document).encode())

    return fault


def _header(name: str, value: str | None, status: int = 0) -> Fault:
    """Replace or drop a header of replies of this status (any, if 0)."""

    def fault(reply: Reply) -> Reply:
        if status not in {0, reply.status}:
            return reply
        kept = tuple(each for each in reply.headers if each[0].lower() != name)
        return replace(reply, headers=kept if value is None else (*kept, (name, value)))

    return fault


def _infer(edit: Callable[[Any], object]) -> Change:
    def change(method: str, answer: bytes) -> bytes:
        if method != "ModelInfer":
            return answer
        found = message_class("ModelInferResponse").FromString(answer)
        edit(found)
        return bytes(found.SerializeToString())

    return change


def _other_datatype(document: dict[str, Any]) -> None:
    document["outputs"][0]["datatype"] = "FP64"


def _status(before: int, after: int) -> Fault:
    return lambda reply: replace(reply, status=after) if reply.status == before else reply


def _sorted_labels(document: dict[str, Any]) -> None:
    for output in document["outputs"]:
        if output["datatype"] == "BYTES" and "data" in output:
            output["data"].sort()


def _typed(response: Any) -> None:
    """Labels and probabilities as typed contents."""
    for entry, content in zip(response.outputs, list(response.raw_output_contents), strict=True):
        values = from_bytes(content, entry.datatype, entry.shape).ravel().tolist()
        getattr(entry.contents, FIELDS[entry.datatype]).extend(values)
    del response.raw_output_contents[:]


def _with_field_6(method: str, answer: bytes) -> bytes:
    return answer + b"\x32\x06\x0a\x01a\x12\x01b" if method == "ModelMetadata" else answer


def _without(text: bytes) -> Alter:
    return lambda data: data.replace(text, b"x-nothing: ", 1)


def _body(change: Callable[[bytes], bytes]) -> Fault:
    return lambda reply: replace(reply, body=change(reply.body))


def _set(key: str, value: object, *, having: str) -> Fault:
    return _json(lambda document: document.update({key: value}), having=having)


def _codes(before: Code, after: Code) -> Codes:
    return lambda code: after if code is before else code


SELECTING = ("infer.all-outputs", "infer.select", "infer.select-order", "concurrent.outputs")
COMPRESSED_BINARY = ("compression.gzip-binary", "compression.deflate-binary")
ALL_BINARY = ("binary.output", "binary.all-outputs", "binary.override", "binary.mixed-outputs", "binary.raw")

HTTP = {
    "the id is lost": HttpFault(
        ("infer.id", "infer.id-text", "http.pipelining", "concurrent.ids"),
        _json(lambda document: document.pop("id", None), having="outputs"),
    ),
    "not found is a bad request": HttpFault(
        ("metadata.not-found", "error.infer-not-found", "error.unknown-path"), _status(404, 400)
    ),
    "errors have a charset": HttpFault(
        ("error.content-type",), _header("content-type", "application/json; charset=utf-8", 400)
    ),
    "a wrong method is explained in HTML": HttpFault(
        ("error.method-body",), lambda reply: replace(reply, body=b"<html>") if reply.status == 405 else reply
    ),
    "405 has no Allow": HttpFault(("error.method-allow",), _header("allow", None)),
    "there is no Date": HttpFault(("http.date",), _header("date", None)),
    "binary tensors are not advertised": HttpFault(
        ("metadata.binary-extension",), _set("extensions", [], having="extensions")
    ),
    "binary answers do not say how long their JSON is": HttpFault(
        (
            *(*ALL_BINARY, *COMPRESSED_BINARY, "compression.accept-deflate", "binary.lengths"),
            *("binary.no-data", "binary.no-content-type", "binary.bytes-elements"),
        ),
        _header("inference-header-content-length", None),
    ),
    "the version is null": HttpFault(("infer.fields",), _set("model_version", None, having="outputs")),
    "outputs have another datatype than the metadata says": HttpFault(
        ("infer.output-datatypes",), _json(_other_datatype, having="platform")
    ),
    "an output is left out": HttpFault(
        (
            *(*SELECTING, *ALL_BINARY, *COMPRESSED_BINARY, "compression.accept-deflate"),
            *("infer.batch", "infer.row-order", "infer.no-rows", "infer.large", "binary.no-content-type"),
        ),
        _json(lambda document: document["outputs"].pop(), having="model_name"),
    ),
    "labels are sorted": HttpFault(
        (
            *(
                "infer.row-order",
                "binary.output",
                "binary.all-outputs",
                "binary.override",
                "binary.mixed-outputs",
            ),
            *(
                "binary.no-content-type",
                "binary.bytes-elements",
                "compression.accept-deflate",
                *COMPRESSED_BINARY,
            ),
        ),
        _json(_sorted_labels, having="model_name"),
    ),
    "missing values are NaN": HttpFault(
        ("infer.nan-is-json", "datatype.FP32", "binary.nan"),
        _body(lambda body: body.replace(b"null", b"NaN")),
    ),
    "probes have no body": HttpFault(
        ("health.live-body",), _body(lambda body: b"" if body.startswith(b'{"live"') else body)
    ),
    "Content-Encoding is ignored": HttpFault(
        ("compression.gzip", "compression.deflate", "compression.broken", *COMPRESSED_BINARY),
        alter=_without(b"Content-Encoding: "),
    ),
}
GRPC = {
    "the id is lost": GrpcFault(
        ("grpc.id", "grpc-transport.ids"), _infer(lambda response: response.ClearField("id"))
    ),
    "outputs come typed": GrpcFault(("grpc.outputs-raw",), _infer(_typed)),
    "field 6 is filled": GrpcFault(("grpc.metadata-field-6",), _with_field_6),
    "what is wrong is unknown": GrpcFault(
        ("grpc-error.invalid",), codes=_codes(Code.INVALID_ARGUMENT, Code.UNKNOWN)
    ),
    "what is not found is invalid": GrpcFault(
        ("grpc.metadata-not-found", "grpc.health-unknown", "grpc-error.not-found"),
        codes=_codes(Code.NOT_FOUND, Code.INVALID_ARGUMENT),
    ),
    "what is not there is internal": GrpcFault(
        ("grpc.unimplemented",), codes=_codes(Code.UNIMPLEMENTED, Code.INTERNAL)
    ),
}
