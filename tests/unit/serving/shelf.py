"""A web server with TLS that offers files: ranges, entity tags, a token; and breaks off where a test wants it to."""

import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme

PIECE = 64 << 10


@dataclass
class Shelf:
    """The files by path, and how they are given away."""

    port: int
    authority: bytes
    files: dict[str, bytes] = field(default_factory=dict)
    token: str | None = None
    seconds_a_piece: float = 0
    breaks_at: int | None = None
    silent: bool = False
    # The first byte that each GET asked for, but for those that ask what there is.
    starts: list[int] = field(default_factory=list)
    requests: int = 0

    def uri(self, path: str) -> str:
        return f"https://127.0.0.1:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def shelf(self) -> Shelf:
        shelf: Shelf = self.server.shelf  # type: ignore[attr-defined]
        return shelf

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.shelf.requests += 1
        if self._was_silent():
            self.close_connection = True
            return
        if self.shelf.token is not None and self.headers["Authorization"] != f"Bearer {self.shelf.token}":
            self._head(401, 0)
            return
        content = self.shelf.files.get(self.path.partition("?")[0])
        if content is None:
            self._head(404, 0)
            return
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if self.headers["If-Match"] not in {None, etag}:
            self._head(412, 0)
            return
        asked = self.headers["Range"]
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        end = (
            min(int(asked.rpartition("-")[2] or len(content) - 1) + 1, len(content))
            if asked
            else len(content)
        )
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        self._head(206 if asked else 200, end - start, headers)
        if self.command == "GET":
            if asked != "bytes=0-0":
                self.shelf.starts.append(start)
            self._body(content, start, end)

    def _was_silent(self) -> bool:
        waited = False
        while self.shelf.silent:
            waited = True
            time.sleep(0.05)
        return waited

    def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, content: bytes, start: int, end: int) -> None:
        for place in range(start, end, PIECE):
            if self.shelf.breaks_at is not None and place >= self.shelf.breaks_at:
                self.shelf.breaks_at = None
                self.close_connection = True
                return
            self.wfile.write(content[place : min(place + PIECE, end)])
            time.sleep(self.shelf.seconds_a_piece)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Callers that are killed are no news."""


@contextmanager
def shelf() -> Iterator[Shelf]:
    """A running server."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    made = Shelf(server.server_port, authority.cert_pem.bytes())
    server.shelf = made  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.silent = False
        server.shutdown()
        server.server_close()
