"""Reads what callers sent by h11, a parser that the server has no part in: the requests that are surely there."""

from __future__ import annotations

from dataclasses import dataclass

import h11

_LONGEST_HEAD = 1 << 20


@dataclass(frozen=True)
class Request:
    """A whole request; a header that is sent twice is in `twice`."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    twice: frozenset[bytes]
    body: bytes
    version: bytes


@dataclass(frozen=True)
class Asked:
    """The whole requests that h11 sees; `clean` if there is nothing else that could be one."""

    requests: list[Request]
    clean: bool


def asked(sent: bytes) -> Asked:
    """The requests that every reader of HTTP/1.1 has to see."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
    server.receive_data(sent)
    requests: list[Request] = []
    while True:
        try:
            request, version = _next(server)
        except h11.RemoteProtocolError:
            return Asked(requests, clean=False)
        if request is None:
            clean = server.their_state is h11.IDLE and not server.trailing_data[0]
            return Asked(requests, clean=clean)
        if version not in {b"1.0", b"1.1"} or request.method in {b"CONNECT", b"PRI"}:
            return Asked(requests, clean=False)
        requests.append(request)
        server.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        server.send(h11.EndOfMessage())
        if server.our_state is not h11.DONE:
            # After HTTP/1.1's "close" nothing counts; h11 knows no kept connections of HTTP/1.0.
            return Asked(requests, clean=version == b"1.1" or not server.trailing_data[0])
        server.start_next_cycle()


def _next(server: h11.Connection) -> tuple[Request | None, bytes]:
    """The next whole request and its version, if there is one."""
    head: h11.Request | None = None
    body = b""
    while True:
        event = server.next_event()
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            names = [name for name, _ in head.headers]
            twice = frozenset(name for name in names if names.count(name) > 1)
            version = head.http_version
            return Request(head.method, head.target, dict(head.headers), twice, body, version), version
        else:
            return None, b""
