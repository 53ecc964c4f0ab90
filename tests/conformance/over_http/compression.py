"""Compressed bodies, as clients send and ask for them."""

import gzip
import zlib

from conformance import bodies
from conformance.bodies import LENGTH, Body
from conformance.checks import Group, expect, shown
from conformance.sources import INFER_FAILURE, rfc9110, tritonclient
from conformance.target import Target
from conformance.wire import Reply

GROUP = Group("http")
REQUEST = tritonclient('infer(..., request_compression_algorithm="gzip" or "deflate") compresses the body')
UNCOMPRESSED = tritonclient(
    "it compresses JSON and tensors together; the header counts bytes of the uncompressed JSON"
)
RESPONSE = tritonclient(
    'infer(..., response_compression_algorithm="gzip" or "deflate") sends Accept-Encoding'
)


def _post(target: Target, body: Body, encoding: str, content: bytes) -> Reply:
    headers = [("Content-Encoding", encoding)]
    if body.length is not None:
        headers.append((LENGTH, str(body.length)))
    return target.post(Body(content), headers)


def _plain(reply: Reply) -> Reply:
    """The reply with its body as it was before the server compressed it."""
    encoding = (reply.header("content-encoding") or "identity").lower()
    expect(encoding in {"identity", "gzip", "deflate"}, f"Content-Encoding is {encoding!r}")
    if encoding == "identity":
        return reply
    try:
        body = gzip.decompress(reply.body) if encoding == "gzip" else zlib.decompress(reply.body)
    except (OSError, EOFError, zlib.error):
        body = b""
    expect(body, f"the body is not {encoding}: {shown(reply.body)}")
    return Reply(reply.status, reply.headers, body)


@GROUP.should("compression.gzip", "a JSON body may be compressed with gzip", REQUEST)
def _(target: Target) -> None:
    body = bodies.plain(target.tensors())
    target.expect_baseline(bodies.read(_post(target, body, "gzip", gzip.compress(body.content))).outputs)


@GROUP.should("compression.deflate", "a JSON body may be compressed with deflate", REQUEST)
def _(target: Target) -> None:
    body = bodies.plain(target.tensors())
    target.expect_baseline(bodies.read(_post(target, body, "deflate", zlib.compress(body.content))).outputs)


@GROUP.should("compression.gzip-binary", "a body with bytes may be compressed with gzip", UNCOMPRESSED)
def _(target: Target) -> None:
    target.need_binary()
    body = bodies.binary(target.tensors(), parameters={"binary_data_output": True})
    target.expect_baseline(bodies.read(_post(target, body, "gzip", gzip.compress(body.content))).outputs)


@GROUP.should("compression.deflate-binary", "a body with bytes may be compressed with deflate", UNCOMPRESSED)
def _(target: Target) -> None:
    target.need_binary()
    body = bodies.binary(target.tensors(), parameters={"binary_data_output": True})
    target.expect_baseline(bodies.read(_post(target, body, "deflate", zlib.compress(body.content))).outputs)


@GROUP.must(
    "compression.accept-gzip",
    "a caller that accepts gzip gets a body that it can read",
    rfc9110(
        "8.4",
        "If one or more encodings have been applied to a representation, the sender that applied the "
        "encodings MUST generate a Content-Encoding header field",
    ),
)
def _(target: Target) -> None:
    body = bodies.plain(target.tensors(100 if target.varies else 1))
    plain = target.infer(body).outputs
    reply = _plain(target.post(body, [*body.headers, ("Accept-Encoding", "gzip")]))
    expect(set(bodies.read(reply).outputs) == set(plain), "other outputs than without Accept-Encoding")


@GROUP.should(
    "compression.accept-deflate", "a caller that accepts deflate gets bytes that it can read", RESPONSE
)
def _(target: Target) -> None:
    target.need_binary()
    body = bodies.binary(target.tensors(), parameters={"binary_data_output": True})
    reply = target.post(body, [*body.headers, ("Accept-Encoding", "deflate")])
    target.expect_baseline(bodies.read(_plain(reply)).outputs)


@GROUP.should("compression.broken", "a body that is not what Content-Encoding says is refused", INFER_FAILURE)
def _(target: Target) -> None:
    body = bodies.plain(target.tensors())
    for content in (body.content, gzip.compress(body.content)[:-12]):
        status = _post(target, body, "gzip", content).status
        expect(400 <= status < 500, f"status {status}")


@GROUP.should(
    "compression.unknown",
    "an encoding that the server does not know is refused",
    rfc9110(
        "8.4",
        "An origin server MAY respond with a status code of 415 (Unsupported Media Type) if a "
        "representation in the request message has a content coding that is not acceptable.",
    ),
)
def _(target: Target) -> None:
    body = bodies.plain(target.tensors())
    status = _post(target, body, "x-nothing", body.content[::-1]).status
    expect(400 <= status < 500, f"status {status}")
