"""Offers the files of a folder over TLS, with ranges, as fast as one thread a connection can. Started by bench.stores.

Usage: files_over_tls.py FOLDER CERTIFICATE KEY. Prints its port.
"""

import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE = 1 << 20


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: Path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.folder / self.path.rsplit("/", 1)[-1]
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or size - 1) + 1, size)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}"')
        self.end_headers()
        if self.command == "GET":
            self.give(path, start, end)

    def give(self, path: Path, start: int, end: int) -> None:
        piece = memoryview(bytearray(PIECE))
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            while start < end:
                read = file.readinto(piece[: min(PIECE, end - start)])
                self.connection.sendall(piece[:read])
                start += read

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """Callers that are killed are no news."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Says nothing."""


def main() -> None:
    """Runs until it is ended."""
    folder, certificate, key = sys.argv[1:]
    Handler.folder = Path(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
