"""Runs a stub in a thread of this process: an HTTP/1.1 server with keep-alive, over TLS if it has certificates."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.stores.certificates import Certificates

Headers = dict[str, str]


class Handler(BaseHTTPRequestHandler):
    """A handler that logs nothing and answers every method with `answer`."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def body(self) -> bytes:
        """The whole body of the request."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, content: bytes = b"", headers: Headers | None = None) -> None:
        """A whole answer; of HEAD only its head."""
        given = {"Content-Length": str(len(content)), **(headers or {})}
        self.send_response(status)
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer(self) -> None:
        """Answer the request."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass


class Server(ThreadingHTTPServer):
    """A server that says nothing about callers that went away."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""


def _bound(handler: type[BaseHTTPRequestHandler], host: str, ports: Iterable[int]) -> Server:
    *others, last = ports
    for port in others:
        with suppress(OSError):
            return Server((host, port), handler)
    return Server((host, last), handler)


@contextmanager
def listening(
    handler: type[BaseHTTPRequestHandler],
    host: str = "127.0.0.1",
    tls: Certificates | None = None,
    ports: Iterable[int] = (0,),
) -> Iterator[str]:
    """The handler's server, as its url, until it is no longer needed: at the first of the ports that is free."""
    server = _bound(handler, host, ports)
    if tls is not None:
        # The handshake is in the thread of the connection: a caller that begins none must not hold up the others.
        server.socket = tls.context().wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
