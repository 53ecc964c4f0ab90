"""Requests that cannot be answered: each is refused with a status and a message, and harms nobody else."""

from conformance import bodies
from conformance.bodies import Body
from conformance.checks import Check, Group, Run, Severity, expect
from conformance.over_http.metadata import expect_error
from conformance.over_http.wrong import KINDS, Build, wrong_bodies
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

GROUP = Group("http")

# The protocol leaves to the server whether these are failures.
LENIENT = {"extra-input", "input-twice", "integer-range", "fraction-for-integer"}
COERCION = kserve_api(
    "The server can decide to coerce each element to the required type or return an error if an "
    "unexpected value"
    "is received."
)


def _refused(build: Build) -> Run:
    return lambda target: _expect_refused(target, build)


def _expect_refused(target: Target, build: Build) -> None:
    expect_error(target.post(build(target)))


for _kind, (_words, _build) in KINDS.items():
    _severity, _why = (Severity.SHOULD, COERCION) if _kind in LENIENT else (Severity.MUST, INFER_FAILURE)
    GROUP.add(Check(f"error.{_kind}", f"refused: {_words}", _severity, _why, "http", _refused(_build)))


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
    found = {kind: target.post(body).status for kind, body in wrong_bodies(target)}
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
    for _, body in wrong_bodies(target):
        target.post(body)
        target.expect_baseline(target.infer(bodies.plain(target.tensors())).outputs)
