"""A web server of this host over TLS, which keeps a file and breaks as it is asked to."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import trustme

from modelwright_stores.access import Access

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass
class Request:
    """What was asked for, and how many bytes of a body were sent."""

    path: str
    headers: dict[str, str]
    sent: int = 0


class Site(ThreadingHTTPServer):
    """Serves `content` at every path that no rule of `answers` is for."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.content = b""
        self.etag: str | None = '"first"'
        self.ranges = True
        self.says_size = True
        self.cuts: list[
            int
        ] = []  # how many bytes of a body each of the next answers sends before it breaks off
        self.pace = 0.0  # seconds between two pieces of a body
        self.requests: list[Request] = []
        self.answers: dict[str, Callable[[_Answering], None]] = {}
        self.ending = threading.Event()
        self.before: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no fault of the server."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        site = self.server
        self.close_connection = True
        site.requests.append(Request(self.path, dict(self.headers.items())))
        site.before()
        special = site.answers.get(self.path.partition("?")[0])
        if special is not None:
            special(self)
            return
        self.serve(site.content)

    def serve(self, content: bytes) -> None:
        site = self.server
        start, end, status = 0, len(content), 200
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and site.ranges and self.headers.get("If-Range", site.etag) == site.etag:
            start, status = int(wanted[1]), 206
            if start >= len(content):
                self.plain(416, headers={"Content-Range": f"bytes */{len(content)}"})
                return
            end = min(int(wanted[2]) + 1, end) if wanted[2] else end
        self.send_response(status)
        if site.etag is not None:
            self.send_header("ETag", site.etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        if site.says_size:
            self.send_header("Content-Length", str(end - start))
        self.send_header("Connection", "close")
        self.end_headers()
        body = content[start:end]
        if site.cuts and len(body) > 1:
            body = body[: site.cuts.pop(0)]
        self.send_body(body)
        if not site.says_size and len(body) == end - start:
            self.wfile.flush()
            self.connection.unwrap()

    def send_body(self, body: bytes) -> None:
        request = self.server.requests[-1]
        for place in range(0, len(body), 1 << 16):
            piece = body[place : place + (1 << 16)]
            self.wfile.write(piece)
            request.sent += len(piece)
            if self.server.pace:
                self.server.ending.wait(self.server.pace)

    def plain(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def raw(self, content: bytes) -> None:
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


Answering = _Answering


def status(code: int, **headers: str) -> Callable[[Answering], None]:
    return lambda answering: answering.plain(code, headers=headers)


def to(location: str, code: int = 302) -> Callable[[Answering], None]:
    return lambda answering: answering.plain(code, headers={"Location": location})


def raw(content: bytes) -> Callable[[Answering], None]:
    return lambda answering: answering.raw(content)


@dataclass(frozen=True)
class Certificates:
    """An authority of the tests, and the file that has its certificate."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    @property
    def file(self) -> Path:
        path = self.folder / "ca.crt"
        if not path.exists():
            self.authority.cert_pem.write_to_path(str(path))
        return path

    @contextmanager
    def site(self, *names: str) -> Iterator[Site]:
        """A server with a certificate for names, 127.0.0.1 unless given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
        with Site(context) as site:
            thread = threading.Thread(target=site.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            try:
                yield site
            finally:
                site.ending.set()
                site.shutdown()
                thread.join()

    def access(self, **changed: object) -> Access:
        """Access to loopback, with these certificates."""
        access = Access(self.folder, "data.store", networks=LOOPBACK, bundle=self.file)
        return replace(access, **changed)  # type: ignore[arg-type]

    def with_secret(self, **keys: str) -> Access:
        """The same with a Secret of these keys."""
        folder = self.folder / "-".join(["with", *keys])
        (folder / "secret").mkdir(parents=True, exist_ok=True)
        for key, value in keys.items():
            (folder / "secret" / key).write_text(value)
        return self.access(folder=folder, secret="web")
