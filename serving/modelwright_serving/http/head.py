"""The head of one request while it is being read: the few headers that matter, and what is wrong with them."""

from modelwright_serving.http import responses
from modelwright_serving.http.responses import Response

KEPT = {
    name: name
    for name in (
        b"content-length",
        b"transfer-encoding",
        b"content-encoding",
        b"expect",
        b"host",
        b"inference-header-content-length",
    )
}


class Head:
    """Request line and kept headers; `size` counts all headers, `unparsed` what may be part of an endless one."""

    __slots__ = ("headers", "size", "target", "unparsed")

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.size = 0
        self.unparsed = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.size += len(name) + len(value) + 4
        kept = KEPT.get(name.lower())
        if kept is not None:
            self.headers[kept] = value

    @property
    def wants_continue(self) -> bool:
        return self.headers.get(b"expect", b"").lower() == b"100-continue"

    @property
    def body_length(self) -> int:
        """What Content-Length says; the parser has checked that it is a number."""
        return int(self.headers.get(b"content-length", b"0"))

    @property
    def header_length(self) -> int | None:
        value = self.headers.get(b"inference-header-content-length")
        return None if value is None else int(value)

    def problem(self, version: str) -> Response | None:
        """Why the request cannot be served, as far as its headers tell."""
        headers = self.headers
        if b"host" not in headers and version == "1.1":
            return responses.error(400, "the header Host is missing")
        if b"expect" in headers and not self.wants_continue:
            return responses.error(417, "the header Expect may only say 100-continue")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return responses.error(
                415, "the body is compressed, which is not supported; send it without Content-Encoding"
            )
        length = headers.get(b"inference-header-content-length")
        if length is not None and not (length.isdigit() and len(length) < 16):
            return responses.error(
                400, "the header Inference-Header-Content-Length has to be a number of bytes"
            )
        return None

    def replayed(self, method: bytes) -> bytes:
        """The head once more, without the wish to upgrade."""
        kept = b"".join(b"%b: %b\r\n" % header for header in self.headers.items())
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self.target, kept)
