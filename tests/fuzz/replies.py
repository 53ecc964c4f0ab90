"""Reads what the server wrote: heads by h11, a parser that the server has no part in, and bodies as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import h11

from fuzz.engine import Finding, without_details

_BLANK = b"\r\n\r\n"


@dataclass(frozen=True)
class Reply:
    """One response; `bodiless` where only its head was sent, as HEAD asks."""

    status: int
    content_type: str
    closes: bool
    bodiless: bool
    body: bytes

    @property
    def said(self) -> str:
        """What it is, without the details that depend on the input."""
        if self.status < 400 or self.bodiless:
            return f"{self.status}{' head' if self.bodiless else ''} {self.content_type}"
        if self.status == 404:
            return "404"
        return f"{self.status} {without_details(self.error)}"

    @property
    def error(self) -> str:
        """What is wrong, of an answer that says so."""
        return str(json.loads(self.body)["error"])


def replies(written: bytes) -> list[Reply]:
    """All responses; Finding if the bytes are anything else."""
    return list(_replies(written))


def _replies(written: bytes) -> Iterator[Reply]:
    at = 0
    while at < len(written):
        end = written.find(_BLANK, at)
        if end < 0:
            raise Finding(f"a response without end: {written[at : at + 200]!r}")
        end += len(_BLANK)
        status, length, content_type, closes = _head(written[at:end])
        body = written[end : end + length]
        # JSON and binary answers begin with a brace: this is the next response, or nothing.
        bodiless = length > 0 and (not body or body.startswith(b"HTTP/1.1 "))
        if not bodiless and len(body) != length:
            raise Finding(f"a response of {length} bytes was cut off: {written[at : at + 300]!r}")
        if not bodiless and status >= 200:
            _check_body(status, content_type, body)
        yield Reply(status, content_type, closes, bodiless, b"" if bodiless else body)
        at = end if bodiless else end + length


@lru_cache(maxsize=4096)
def _check_body(status: int, content_type: str, body: bytes) -> None:
    """Finding if a client could not read it: an error is an object that says only what is wrong."""
    if content_type == "application/json":
        try:
            document = json.loads(body, parse_constant=_no_json)
        except ValueError as error:
            raise Finding(f"no JSON ({error}): {body[:300]!r}") from None
        if status < 400 or (list(document) == ["error"] and isinstance(document["error"], str)):
            return
    elif status < 400:
        return
    raise Finding(f"no error document: {status} {content_type} {body[:300]!r}")


def _no_json(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


@lru_cache(maxsize=4096)
def _head(head: bytes) -> tuple[int, int, str, bool]:
    """Status, length of the body, content type, whether it is the last; Finding if h11 does not take it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "test")]))
    client.send(h11.EndOfMessage())
    client.receive_data(head)
    try:
        event = client.next_event()
    except h11.RemoteProtocolError as error:
        raise Finding(f"h11 does not take this response: {error}: {head!r}") from None
    if not isinstance(event, h11.Response | h11.InformationalResponse):
        raise Finding(f"h11 sees no response in {head!r}")
    headers = dict(event.headers)
    if len(headers) != len(event.headers.raw_items()):
        raise Finding(f"a header is sent twice: {head!r}")
    if isinstance(event, h11.InformationalResponse):
        return event.status_code, 0, "", False
    if b"content-length" not in headers:
        raise Finding(f"a response without Content-Length: {head!r}")
    content_type = headers.get(b"content-type", b"").decode()
    return (
        event.status_code,
        int(headers[b"content-length"]),
        content_type,
        headers.get(b"connection") == b"close",
    )
