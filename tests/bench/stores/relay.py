"""Passes connections on to a server and counts the bytes that come back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE = 256 << 10
# What is under way when a reader is killed counts as sent: little, so that the count is what was read.
BUFFER = 64 << 10


@dataclass
class Relay:
    """`port` is where it listens."""

    port: int
    behind: int
    _back: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def back(self) -> int:
        """The bytes that callers were sent."""
        with self._lock:
            return self._back

    def pass_on(self, caller: socket.socket) -> None:
        """Pass one connection on, both ways, until one side ends it."""
        with caller, socket.create_connection(("127.0.0.1", self.behind)) as server:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            forth = threading.Thread(target=self._copy, args=(caller, server, False), daemon=True)
            forth.start()
            self._copy(server, caller, True)

    def _copy(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                target.sendall(piece)
                if counted:
                    with self._lock:
                        self._back += len(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """A relay in front of a port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(listener.getsockname()[1], port)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = listener.accept()
                    threading.Thread(target=relay.pass_on, args=(caller,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield relay
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
