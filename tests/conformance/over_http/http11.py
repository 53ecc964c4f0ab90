"""HTTP/1.1 itself, as callers, proxies and probes use it."""

import itertools
import time

from conformance import bodies
from conformance.bodies import Body
from conformance.checks import Group, expect, shown
from conformance.sources import practice, rfc9110, rfc9112
from conformance.target import Target
from conformance.wire import head

GROUP = Group("http")
FRAMING = rfc9112(
    "6.3",
    "If the unrecoverable error is in a request message, the server MUST respond with a 400 (Bad "
    "Request) status"
    "code and then close the connection.",
)


def _infer_head(target: Target, *headers: tuple[str, str], version: str = "1.1") -> bytes:
    lines = [("Host", target.address.authority), ("Content-Type", "application/json"), *headers]
    return head("POST", target.target(target.infer_path), lines, version)


def _chunked(content: bytes, sizes: int, end: bytes = b"0\r\n\r\n") -> bytes:
    parts = [content[start : start + sizes] for start in range(0, len(content), sizes)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end


@GROUP.must(
    "http.keep-alive",
    "a connection serves one request after the other",
    rfc9112(
        "9.3",
        'HTTP/1.1 defaults to the use of "persistent connections", allowing multiple requests and '
        "responses to be carried over a single connection.",
    ),
)
def _(target: Target) -> None:
    body = bodies.plain(target.tensors())
    with target.connect() as wire:
        for _ in range(5):
            wire.send(target.infer_request(body))
            target.expect_baseline(bodies.read(wire.reply()).outputs)


@GROUP.must(
    "http.pipelining",
    "pipelined requests are answered in their order",
    rfc9112(
        "9.3.2", "it MUST send the corresponding responses in the same order that the requests were received."
    ),
)
def _(target: Target) -> None:
    requests = [target.infer_request(bodies.plain(target.tensors(), id=str(number))) for number in range(6)]
    live = target.request("GET", "/v2/health/live")
    with target.connect() as wire:
        wire.send(b"".join(part for request in requests for part in (request, live)))
        for number in range(6):
            found = bodies.read(wire.reply()).document.get("id")
            expect(found == str(number), f"response {number} has id {found!r}")
            expect(wire.reply().status == 200, "the probe between two requests is not answered")


@GROUP.must(
    "http.chunked",
    "a body may come in chunks",
    rfc9112(
        "6.1",
        "A recipient MUST be able to parse the chunked transfer coding (Section 7.1) because it "
        "plays a crucial role in framing messages when the content size is not known in advance.",
    ),
)
def _(target: Target) -> None:
    content = bodies.plain(target.tensors()).content
    start = _infer_head(target, ("Transfer-Encoding", "chunked"))
    with target.connect() as wire:
        for ending in (b"0\r\n\r\n", b"0\r\nX-Trailer: yes\r\n\r\n"):
            wire.send(start + _chunked(content, 37, ending))
            target.expect_baseline(bodies.read(wire.reply()).outputs)


@GROUP.should(
    "http.chunked-binary",
    "a body with bytes may come in chunks",
    practice("clients and proxies that stream large bodies"),
)
def _(target: Target) -> None:
    target.need_binary()
    body = bodies.binary(target.tensors())
    headers = [("Host", target.address.authority), ("Transfer-Encoding", "chunked"), *body.headers]
    start = head("POST", target.target(target.infer_path), headers)
    with target.connect() as wire:
        wire.send(start + _chunked(body.content, 50))
        target.expect_baseline(bodies.read(wire.reply()).outputs)


@GROUP.must(
    "http.expect-continue",
    "a caller that asks whether to send its body is told",
    rfc9110(
        "10.1.1",
        "Upon receiving an HTTP/1.1 (or later) request that has a method, target URI, and "
        "complete header section that contains a 100-continue expectation and an indication that "
        "request content will follow, an origin server MUST send either: an immediate response "
        "with a final status code [...] or an immediate 100 (Continue) response",
    ),
)
def _(target: Target) -> None:
    content = bodies.plain(target.tensors()).content
    with target.connect() as wire:
        wire.send(_infer_head(target, ("Content-Length", str(len(content))), ("Expect", "100-continue")))
        first = wire.reply(interim=True)
        expect(first.status == 100, f"status {first.status}: {shown(first.body)}")
        wire.send(content)
        target.expect_baseline(bodies.read(wire.reply()).outputs)


@GROUP.must(
    "http.head",
    "HEAD is taken wherever GET is",
    rfc9110("9.1", "All general-purpose servers MUST support the methods GET and HEAD."),
)
def _(target: Target) -> None:
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", target.model_path):
        status = target.call("HEAD", path).status
        expect(status == 200, f"HEAD {path} is status {status}")


@GROUP.must(
    "http.head-no-body",
    "HEAD is answered without a body",
    rfc9110(
        "9.3.2",
        "The HEAD method is identical to GET except that the server MUST NOT send content in the response.",
    ),
)
def _(target: Target) -> None:
    with target.connect() as wire:
        for _ in range(2):
            wire.send(target.request("HEAD", "/v2/health/live"))
            wire.reply(head_only=True)
        wire.send(target.request("GET", "/v2/health/live"))
        expect(wire.reply().status == 200, "the request after HEAD is not answered")


@GROUP.must(
    "http.header-case",
    "header names may be written in any case",
    rfc9112("5", "Each field line consists of a case-insensitive field name followed by a colon"),
)
def _(target: Target) -> None:
    content = bodies.plain(target.tensors()).content
    lines = [("hOST", target.address.authority), ("cONTENT-lENGTH", str(len(content)))]
    lines.append(("CONTENT-TYPE", "application/json"))
    with target.connect() as wire:
        wire.send(head("POST", target.target(target.infer_path), lines) + content)
        target.expect_baseline(bodies.read(wire.reply()).outputs)


@GROUP.must(
    "http.close",
    "the server closes the connection when asked to",
    rfc9112(
        "9.6",
        'A server that receives a "close" connection option MUST initiate closure of the '
        "connection (see below) after it sends the final response to the request that contained "
        'the "close" connection option.',
    ),
)
def _(target: Target) -> None:
    with target.connect() as wire:
        wire.send(target.request("GET", "/v2/health/live", headers=[("Connection", "close")]))
        expect(wire.reply().status == 200, "the request is not answered")
        expect(wire.closed(), "the connection stays open")


@GROUP.must(
    "http.no-host",
    "HTTP/1.1 without Host is refused",
    rfc9112(
        "3.2",
        "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request "
        "message that lacks a Host header field",
    ),
)
def _(target: Target) -> None:
    with target.connect() as wire:
        wire.send(head("GET", target.target("/v2/health/live"), []))
        status = wire.reply().status
        expect(status == 400, f"status {status}")


@GROUP.must("http.bad-length", "a Content-Length that is no number is refused", FRAMING)
def _(target: Target) -> None:
    for value in ("ten", "-1", "1_0"):
        with target.connect() as wire:
            wire.send(_infer_head(target, ("Content-Length", value)))
            status = wire.reply().status
            expect(status == 400, f"{value!r} is status {status}")


@GROUP.must("http.two-lengths", "two different Content-Length headers are refused", FRAMING)
def _(target: Target) -> None:
    content = bodies.plain(target.tensors()).content
    lengths = [("Content-Length", str(len(content))), ("Content-Length", "3")]
    with target.connect() as wire:
        wire.send(_infer_head(target, *lengths) + content)
        status = wire.reply().status
        expect(status == 400, f"status {status}")


@GROUP.must(
    "http.length-and-chunks",
    "a body framed in two ways smuggles no second request",
    rfc9112(
        "6.1",
        "A server MAY reject a request that contains both Content-Length and Transfer-Encoding or "
        "process such a request in accordance with the Transfer-Encoding alone. Regardless, the "
        "server MUST close the connection after responding to such a request to avoid the "
        "potential attacks.",
    ),
)
def _(target: Target) -> None:
    content = bodies.plain(target.tensors()).content
    framing = (("Content-Length", "5"), ("Transfer-Encoding", "chunked"))
    with target.connect() as wire:
        wire.send(
            _infer_head(target, *framing) + _chunked(content, 50) + target.request("GET", "/v2/health/live")
        )
        wire.reply()
        expect(wire.closed(), "the connection stays open")


@GROUP.must(
    "http.pieces",
    "a request may arrive in pieces",
    rfc9112(
        "2.2", "The normal procedure for parsing an HTTP message is to read the start-line into a structure"
    ),
)
def _(target: Target) -> None:
    request = target.infer_request(bodies.plain(target.tensors()))
    cuts = [0, 1, 3, 20, len(request) // 2, len(request) - 1, len(request)]
    with target.connect() as wire:
        for start, end in itertools.pairwise(cuts):
            wire.send(request[start:end])
            time.sleep(0.01)
        target.expect_baseline(bodies.read(wire.reply()).outputs)


@GROUP.must(
    "http.date",
    "responses have a date",
    rfc9110(
        "6.6.1",
        "An origin server with a clock MUST generate a Date header field in all 2xx (Successful), "
        "3xx (Redirection), and 4xx (Client Error) responses",
    ),
)
def _(target: Target) -> None:
    for reply in (
        target.get("/v2/health/live"),
        target.post(bodies.plain(target.tensors())),
        target.post(Body(b"{")),
    ):
        expect(reply.header("date"), f"a response of status {reply.status} has no Date")
