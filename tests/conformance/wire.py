"""HTTP/1.1 on a plain socket, so that every byte is chosen and seen. What is in a body is left to others."""

import json
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit

from conformance.checks import Failed, shown

SECONDS = 20.0
LARGEST = 256 * 1024**2
Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """A response as it came; header names as the server wrote them."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    @property
    def content_type(self) -> str:
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    def json(self, content: bytes | None = None) -> Any:
        """The body as strict JSON: NaN and Infinity are none."""
        text = self.body if content is None else content
        try:
            return json.loads(text, parse_constant=_not_json)
        except ValueError as error:
            raise Failed(f"the body is not JSON ({error}): {shown(text)}") from None

    def document(self) -> dict[str, Any]:
        found = self.json()
        if not isinstance(found, dict):
            raise Failed(f"the body is no JSON object: {shown(self.body)}")
        return found


def _not_json(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is no JSON")


@dataclass(frozen=True)
class Address:
    """Where a server is: the parts of its URL."""

    host: str
    port: int
    secure: bool
    prefix: str

    @classmethod
    def of(cls, url: str) -> Self:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        return cls(parts.hostname or "localhost", port, secure, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Wire:
    """One connection; bytes go out as given, responses come back parsed."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection((address.host, address.port), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.secure:
            context = ssl.create_default_context()
            self._socket = context.wrap_socket(self._socket, server_hostname=address.host)
        self._file = BufferedReader(self._socket.makefile("rb", buffering=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def reply(self, *, head_only: bool = False, interim: bool = False) -> Reply:
        """The next response; interim ones (1xx) are passed over unless asked for."""
        while True:
            found = self._reply(head_only=head_only)
            if interim or found.status >= 200:
                return found

    def wait(self) -> None:
        """Until the next response begins, or the connection ends."""
        self._file.peek(1)

    def hang_up(self) -> None:
        """End both ways, also for a reader in another thread."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def closed(self) -> bool:
        """Whether the server ends the connection, with no byte more."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True

    def _reply(self, *, head_only: bool) -> Reply:
        status = self._status()
        headers = tuple(iter(self._header, None))
        reply = Reply(status, headers, b"")
        if head_only or status < 200 or status in {204, 304}:
            return reply
        return Reply(status, headers, self._body(reply))

    def _status(self) -> int:
        line = self._file.readline(65536)
        if not line:
            raise Failed("the server closed the connection instead of answering")
        parts = line.split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
            raise Failed(f"the status line is malformed: {shown(line)}")
        return int(parts[1])

    def _header(self) -> tuple[str, str] | None:
        line = self._file.readline(65536)
        if line == b"\r\n":
            return None
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not line.endswith(b"\r\n") or name != name.strip():
            raise Failed(f"a header line is malformed: {shown(line)}")
        return name, value.strip()

    def _body(self, reply: Reply) -> bytes:
        if (reply.header("transfer-encoding") or "").lower() == "chunked":
            return b"".join(iter(self._chunk, b""))
        length = reply.header("content-length")
        if length is None:
            return self._file.read(LARGEST)
        if not length.isdigit() or int(length) > LARGEST:
            raise Failed(f"Content-Length is {shown(length)}")
        return self._exactly(int(length))

    def _chunk(self) -> bytes:
        size = int(self._file.readline(1024).partition(b";")[0], 16)
        data = self._exactly(size)
        if size == 0:
            while self._file.readline(65536) not in {b"\r\n", b""}:
                pass  # trailers
        else:
            self._exactly(2)
        return data

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise Failed(f"the body ends after {len(data)} of {size} bytes")
        return data


def head(method: str, target: str, headers: Headers, version: str = "1.1") -> bytes:
    """Request line and headers."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {target} HTTP/{version}\r\n{lines}\r\n".encode("latin-1")
