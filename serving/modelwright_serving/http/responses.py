"""Builds HTTP responses as bytes. Framing headers (length, date, connection) are left to the connection."""

from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from time import time

from modelwright_serving.oip import documents

JSON = b"application/json"
BINARY = b"application/octet-stream"


@dataclass(slots=True)
class Response:
    """`head` is the status line and the headers of the content; `close` ends the connection after it."""

    status: int
    head: bytes
    body: bytes
    close: bool = False


def head(status: int, content_type: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    """Status line and headers of the content."""
    extra = b"".join(b"%b: %b\r\n" % header for header in headers)
    line = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
    return b"%bcontent-type: %b\r\n%b" % (line, content_type, extra)


def json(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Response:
    """A response that holds one JSON document."""
    return Response(status, head(status, JSON, *headers), body)


def error(status: int, message: str, *headers: tuple[bytes, bytes], close: bool = False) -> Response:
    """An error as every client of the protocol expects it; 503 says when to come back."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = (*headers, (b"retry-after", b"1"))
    return Response(status, head(status, JSON, *headers), documents.error(message), close=close)


def unready(message: str) -> Response:
    """The model takes no traffic, for a reason that `message` tells."""
    return error(HTTPStatus.SERVICE_UNAVAILABLE, message)


def method_not_allowed(allowed: bytes) -> Response:
    """A known path, asked in a way it does not take."""
    return error(405, f"this path takes {allowed.decode()} only", (b"allow", allowed))


_date = (0, b"")


def date_header() -> bytes:
    """The Date header, made once a second."""
    global _date  # noqa: PLW0603 - one clock for the process
    seconds = int(time())
    if seconds != _date[0]:
        _date = (seconds, b"date: %b\r\n" % formatdate(seconds, usegmt=True).encode())
    return _date[1]
