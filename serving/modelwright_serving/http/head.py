"""The head of one request while it is being read: its headers, and what is wrong with them.

A caller sends the same head again and again, so what a head has once meant is remembered by its bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelwright_serving import tracing
from modelwright_serving.http import responses
from modelwright_serving.http.encoding import ENCODINGS
from modelwright_serving.http.responses import Response

if TYPE_CHECKING:
    from modelwright_serving.http.exchange import Endpoint

# What asks for another protocol, and is left out when the request is read without that wish.
_UPGRADING = frozenset((b"upgrade", b"http2-settings"))
# What a request must not say twice: two readers of it could believe one each.
_ONCE = frozenset(
    (b"host", b"transfer-encoding", b"content-encoding", b"expect", b"inference-header-content-length")
)


class Head:
    """Request line and headers by their names in lower case, the last of each.

    `size` counts the bytes of all fields and `fields` their number, trailers included; `unparsed` is what may be part
    of an endless one.
    """

    __slots__ = ("_twice", "fields", "headers", "size", "target", "unparsed")

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.fields = 0
        self.size = 0
        self.unparsed = 0
        self._twice: bytes | None = None

    def count(self, name: bytes, value: bytes) -> None:
        """Another field, be it a header or a trailer."""
        self.fields += 1
        self.size += len(name) + len(value) + 4

    def add(self, name: bytes, value: bytes) -> None:
        """A header."""
        self.count(name, value)
        name = name.lower()
        value = value.rstrip(b" \t")  # which belongs to no value, but the parser leaves it
        if name in self.headers:
            if name in _ONCE:
                self._twice = name
            elif name == b"connection":
                value = b"%b, %b" % (self.headers[name], value)
        self.headers[name] = value

    @property
    def wants_continue(self) -> bool:
        return self.headers.get(b"expect", b"").lower() == b"100-continue"

    @property
    def body_length(self) -> int:
        """What Content-Length says; the parser has checked that it is a number."""
        return int(self.headers.get(b"content-length", b"0"))

    @property
    def encoding(self) -> bytes:
        """The compression of the body."""
        return self.headers.get(b"content-encoding", b"identity").strip().lower()

    @property
    def is_plain(self) -> bool:
        """Whether nothing follows but a body of the stated length, as it is."""
        headers = self.headers
        return not (b"transfer-encoding" in headers or b"expect" in headers or b"content-encoding" in headers)

    @property
    def header_length(self) -> int | None:
        value = self.headers.get(b"inference-header-content-length")
        return None if value is None else int(value)

    @property
    def echo(self) -> bytes:
        """The header lines that the answer repeats."""
        found = tracing.request_id(self.headers)
        return b"%b: %b\r\n" % (tracing.REQUEST_ID, found) if found else b""

    def problem(self, version: str) -> Response | None:
        """Why the request cannot be served, as far as its headers tell."""
        headers = self.headers
        if (problem := self._framing_problem(version)) is not None:
            return problem
        if b"host" not in headers and version == "1.1":
            return responses.error(400, "the header Host is missing")
        if b"expect" in headers and not self.wants_continue:
            return responses.error(417, "the header Expect may only say 100-continue")
        if self.encoding not in ENCODINGS:
            known = b", ".join(ENCODINGS).decode()
            return responses.error(
                415,
                f"the body's Content-Encoding is not one of {known}",
                (b"accept-encoding", b"gzip, deflate"),
            )
        length = headers.get(b"inference-header-content-length")
        if length is not None and not (length.isdigit() and len(length) < 16):
            return responses.error(
                400, "the header Inference-Header-Content-Length has to be a number of bytes"
            )
        return None

    def _framing_problem(self, version: str) -> Response | None:
        """What another reader of these bytes could take for another request."""
        if self._twice is not None:
            return responses.error(400, f"the header {self._twice.decode().title()} stands twice", close=True)
        coding = self.headers.get(b"transfer-encoding")
        if coding is None:
            return None
        if version == "1.0":
            return responses.error(400, "HTTP/1.0 has no Transfer-Encoding", close=True)
        if coding.lower() != b"chunked":
            return responses.error(501, "no Transfer-Encoding but chunked is known", close=True)
        return None

    def without_upgrade(self, method: bytes, version: str) -> bytes:
        """The head once more, as it would be without the wish for another protocol."""
        kept = {name: value for name, value in self.headers.items() if name not in _UPGRADING}
        options = [option.strip() for option in kept[b"connection"].split(b",")]
        kept[b"connection"] = b", ".join(option for option in options if option.lower() not in _UPGRADING)
        lines = b"".join(b"%b: %b\r\n" % header for header in kept.items() if header[1])
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.target, version.encode(), lines)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the parser made of a head whose connection goes on after the answer."""

    endpoint: "Endpoint"
    method: bytes
    http10: bool
    body_length: int
    header_length: int | None
    headers: Mapping[bytes, bytes]
    echo: bytes


class KnownHeads:
    """The meanings of the heads that callers of one application repeat; bounded in number and size."""

    __slots__ = ("_limit", "_longest", "_meanings", "find")

    def __init__(self, limit: int = 512, longest: int = 2048) -> None:
        self._limit = limit
        self._longest = longest
        self._meanings: dict[bytes, Meaning] = {}
        self.find = self._meanings.get

    def learn(self, head: bytes, meaning: Meaning) -> None:
        if len(head) > self._longest:
            return
        if len(self._meanings) >= self._limit:
            self._meanings.clear()
        self._meanings[head] = meaning
