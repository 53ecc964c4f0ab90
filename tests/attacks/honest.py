"""Honest callers and a kubelet, in a process of their own, for as long as standard input is open.

Prints each request as JSON: who asked, when it began (seconds of the machine's clock), how long it took, how it ended.
"""

from __future__ import annotations

import base64
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from attacks import answers, h2
from attacks.wire import CALLER, KUBELET

PAUSE_SECONDS = 0.004
PROBE_PAUSE_SECONDS = 0.05
SELDOM_PAUSE_SECONDS = 0.4
PATIENCE_SECONDS = 8.0

Sample = tuple[str, float, float, str]


class FailedError(Exception):
    """A request without a good answer."""


class Http:
    """One connection, one request after the other."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port, self.requests = port, requests
        self._socket: socket.socket | None = None

    def ask(self, number: int) -> bytes:
        if self._socket is None:
            self._socket = connect(self._port, CALLER)
        self._socket.sendall(self.requests[number])
        return _answer(self._socket)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


class Grpc:
    """One HTTP/2 connection, one call after the other."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port, self.requests = port, requests
        self._socket: socket.socket | None = None
        self._blocks = (b"", b"")

    def ask(self, number: int) -> bytes:
        if self._socket is None:
            self._connect()
        assert self._socket is not None
        stream = next(self._streams)
        head = h2.frame(h2.HEADERS, h2.END_HEADERS, stream, self._blocks[0])
        self._blocks = (self._blocks[1], self._blocks[1])
        self._socket.sendall(head + h2.body_frames(stream, h2.message(self.requests[number])))
        return self._read(stream)

    def _connect(self) -> None:
        self._socket = connect(self._port, CALLER)
        self._file = self._socket.makefile("rb")
        self._streams = h2.streams()
        self._blocks = h2.blocks(h2.grpc_fields())
        self._socket.sendall(h2.PREFACE + h2.settings(window=2**30) + h2.widen(0, 2**30))

    def _read(self, stream: int) -> bytes:
        body = b""
        while True:
            kind, flags, number, payload = self._frame()
            if number == 0:
                self._control(kind, flags, payload)
                continue
            if number == stream and kind == h2.RST_STREAM:
                raise FailedError(f"RST_STREAM {int.from_bytes(payload, 'big')}")
            if number == stream and kind == h2.DATA:
                body += payload
            if number == stream and flags & h2.END_STREAM:
                if not body:
                    raise FailedError("gRPC error")
                return body

    def _frame(self) -> tuple[int, int, int, bytes]:
        head = self._file.read(9)
        if len(head) < 9:
            raise FailedError("closed")
        high, low, kind, flags, number = h2.HEAD.unpack(head)
        return kind, flags, number, self._file.read(high << 16 | low)

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        assert self._socket is not None
        if kind in {h2.SETTINGS, h2.PING} and not flags & h2.ACK:
            self._socket.sendall(h2.frame(kind, h2.ACK, 0, payload if kind == h2.PING else b""))
        elif kind == h2.GOAWAY:
            raise FailedError(f"GOAWAY {payload[8:].decode('utf-8', 'replace')}")

    def close(self) -> None:
        if self._socket is not None:
            self._file.close()
            self._socket.close()
        self._socket = None


class Probing:
    """As the kubelet does: a new connection for each probe."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self.requests = [f"GET {path} HTTP/1.1\r\nHost: kubelet\r\nConnection: close\r\n\r\n".encode()]

    def ask(self, number: int) -> bytes:
        with connect(self._port, KUBELET) as connection:
            connection.sendall(self.requests[number])
            _answer(connection)
        return b""

    def close(self) -> None:
        """Nothing stays open."""


Asker = Http | Grpc | Probing


def connect(port: int, source: str) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, (source, 0))
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def ask_on(who: str, asker: Asker, pause: float, going: Callable[[], bool], found: list[Sample]) -> None:
    """One request every so often; an answer is compared with the first to the same request."""
    known: dict[int, bytes] = {}
    compare = answers.COMPARED.get(who)
    turn = 0
    while going():
        number = turn % len(asker.requests)
        turn += 1
        began = time.monotonic()
        try:
            answer = asker.ask(number)
            same = answer == known.setdefault(number, answer)
            ended = "ok" if same or compare is None else compare(known[number], answer)
        except (OSError, FailedError) as error:
            ended = "timeout" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            with suppress(OSError):
                asker.close()
        found.append((who, began, time.monotonic() - began, ended))
        time.sleep(pause)
    asker.close()


def main() -> int:
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    bodies = {way: [base64.b64decode(one) for one in asked[way]] for way in ("http", "grpc")}
    askers: list[tuple[str, Asker, float]] = [
        ("http", Http(asked["ports"]["http"], bodies["http"]), PAUSE_SECONDS),
        ("grpc", Grpc(asked["ports"]["grpc"], bodies["grpc"]), PAUSE_SECONDS),
        ("seldom", Http(asked["ports"]["http"], bodies["http"]), SELDOM_PAUSE_SECONDS),
        *(
            (name, Probing(asked["ports"][port], path), PROBE_PAUSE_SECONDS)
            for name, port, path in asked["probes"]
        ),
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    over = threading.Event()
    found: list[Sample] = []
    threads = [
        threading.Thread(target=ask_on, args=(who, asker, pause, lambda: not over.is_set(), found))
        for who, asker, pause in askers
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    json.dump(found, sys.stdout)
    return 0


def _answer(connection: socket.socket) -> bytes:
    """The body of a response with status 200 and a Content-Length."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        part = connection.recv(65536)
        if not part:
            raise FailedError("closed")
        data += part
    head, body = data[:end].lower(), data[end + 4 :]
    if not head.startswith(b"http/1.1 200"):
        raise FailedError(head[9:12].decode("latin-1"))
    size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    parts, have = [body], len(body)
    while have < size:
        part = connection.recv(2**20)
        if not part:
            raise FailedError("closed")
        parts.append(part)
        have += len(part)
    return b"".join(parts)


if __name__ == "__main__":
    sys.exit(main())
