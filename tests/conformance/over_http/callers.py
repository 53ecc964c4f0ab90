"""What real callers do with HTTP: odd paths and headers, old versions, leaving early. Framing is left to `http11`."""

from conformance import bodies
from conformance.checks import Group, expect, need, shown
from conformance.sources import practice, rfc, rfc9110, rfc9112, tritonclient
from conformance.target import Target
from conformance.wire import head

GROUP = Group("http")


@GROUP.should("http.no-content-type", "JSON needs no Content-Type", tritonclient("it sends no Content-Type"))
def _(target: Target) -> None:
    target.expect_baseline(target.infer(bodies.plain(target.tensors()), []).outputs)


@GROUP.should(
    "http.other-content-types",
    "JSON is JSON whatever Content-Type says",
    practice(
        "curl -d says application/x-www-form-urlencoded unless told otherwise; many clients add a charset"
    ),
)
def _(target: Target) -> None:
    for kind in ("application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain"):
        reply = target.post(bodies.plain(target.tensors()), [("Content-Type", kind)])
        expect(reply.status == 200, f"{kind}: status {reply.status}: {shown(reply.body)}")


@GROUP.should(
    "http.version-1.0", "HTTP/1.0 is answered", practice("old load balancers and ab probe with HTTP/1.0")
)
def _(target: Target) -> None:
    content = bodies.plain(target.tensors()).content
    start = head("POST", target.target(target.infer_path), [("Content-Length", str(len(content)))], "1.0")
    with target.connect() as wire:
        wire.send(start + content)
        target.expect_baseline(bodies.read(wire.reply()).outputs)
        expect(wire.closed(), "the connection stays open, though nobody asked for it")


@GROUP.should(
    "http.escaped-path",
    "a path may be percent-encoded",
    rfc(
        3986,
        "URIs that differ in the replacement of an unreserved character with its corresponding "
        "percent-encoded US-ASCII octet are equivalent",
    ),
)
def _(target: Target) -> None:
    reply = target.get(target.model_path.replace("/models/", "/%6dodels/"))
    expect(reply.status == 200, f"status {reply.status}")


@GROUP.should(
    "http.query",
    "a query is ignored",
    tritonclient("infer(..., query_params={...}) appends any query to the path"),
)
def _(target: Target) -> None:
    reply = target.post(bodies.plain(target.tensors()), path=f"{target.infer_path}?test_1=1&x=%20")
    target.expect_baseline(bodies.read(reply).outputs)


@GROUP.must(
    "http.absolute-form",
    "the path may be an absolute URL",
    rfc9112(
        "3.2.2",
        "A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients "
        "will only send the absolute-form to a proxy.",
    ),
)
def _(target: Target) -> None:
    host = target.address.authority
    with target.connect() as wire:
        wire.send(head("GET", f"http://{host}{target.target('/v2/health/live')}", [("Host", host)]))
        status = wire.reply().status
        expect(status == 200, f"status {status}")


@GROUP.should(
    "http.long-line",
    "a request line may have 8,000 bytes",
    rfc9112(
        "3",
        "It is RECOMMENDED that all HTTP senders and recipients support, at a minimum, "
        "request-line lengths of 8000 octets.",
    ),
)
def _(target: Target) -> None:
    path = target.target("/v2/health/live?x=")
    padding = "a" * (8000 - len(f"GET {path} HTTP/1.1\r\n"))
    reply = target.get(f"/v2/health/live?x={padding}")
    expect(reply.status == 200, f"status {reply.status}")


@GROUP.should(
    "http.large-headers",
    "headers may have 8 kB",
    practice("identity tokens and traces of meshes; most servers take 8 kB or more"),
)
def _(target: Target) -> None:
    headers = [("Authorization", "Bearer " + "t" * 6000), *((f"X-Trace-{n}", "v" * 40) for n in range(40))]
    reply = target.call("GET", "/v2/health/live", headers=headers)
    expect(reply.status == 200, f"status {reply.status}")


@GROUP.should(
    "http.empty-line",
    "an empty line before a request is ignored",
    rfc9112(
        "2.2",
        "In the interest of robustness, a server that is expecting to receive and parse a "
        "request-line SHOULD ignore at least one empty line (CRLF) received prior to the "
        "request-line.",
    ),
)
def _(target: Target) -> None:
    with target.connect() as wire:
        for _ in range(2):
            wire.send(b"\r\n" + target.request("GET", "/v2/health/live"))
            status = wire.reply().status
            expect(status == 200, f"status {status}")


@GROUP.should(
    "http.unknown-method",
    "a method that nobody knows is refused",
    rfc9110(
        "9.1",
        "An origin server that receives a request method that is unrecognized or not implemented "
        "SHOULD respond with the 501 (Not Implemented) status code.",
    ),
)
def _(target: Target) -> None:
    status = target.call("BREW", "/v2/health/live").status
    expect(status in {400, 405, 501}, f"status {status}")


@GROUP.should(
    "http.abandoned",
    "callers that leave harm nobody",
    practice("clients with short timeouts, and probes that only connect"),
)
def _(target: Target) -> None:
    body = bodies.plain(target.tensors())
    request = target.infer_request(body)
    for part in (b"", request[:30], request[:-5], request):
        for _ in range(5):
            with target.connect() as wire:
                wire.send(part)
    target.expect_baseline(target.infer(body).outputs)


@GROUP.should(
    "http.many-connections",
    "a hundred connections may be open at once",
    practice("the connection pools of a few dozen callers"),
)
def _(target: Target) -> None:
    need(not target.address.secure, "TLS: opening a hundred connections takes too long")
    wires = [target.connect() for _ in range(100)]
    try:
        for wire in wires:
            wire.send(target.request("GET", "/v2/health/ready"))
        found = {wire.reply().status for wire in wires}
    finally:
        for wire in wires:
            wire.__exit__()
    expect(found == {200}, f"statuses {found}")
