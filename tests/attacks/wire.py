"""Many connections of one attacker on one thread: what each sends is a generator, how each ends is counted.

A script yields bytes to send, or seconds to wait. What comes back is read and looked at only as far as it tells how
the attack ended.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import re
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from attacks import h2

Script = Callable[["Line"], Iterator[bytes | float]]
# Addresses of the honest callers, the attacker and the kubelet.
CALLER, ATTACKER, KUBELET = "127.0.0.1", "127.0.0.2", "127.0.0.3"
PIECE = 256 * 1024
STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")
# A gigabit per second: what an attacker elsewhere in the cluster may have.
BYTES_PER_SECOND = 125e6
ENOUGH_CONNECTIONS = 40_000


@dataclass(frozen=True)
class How:
    """How a connection behaves."""

    source: str = ATTACKER
    reads: bool = True
    again: bool = False
    """Connect again, once it is ended."""
    http2: bool = False
    receive_buffer: int = 0
    abort: bool = False
    """Reset instead of closing, when its script has ended."""


class Line:
    """One connection."""

    def __init__(self, engine: Engine, port: int, script: Script, how: How) -> None:
        self.engine, self.port, self.script, self.how = engine, port, script, how
        self.pending = memoryview(b"")
        self.wake = 0.0
        self.over = False
        self.rest = b""
        self.goaway = ""
        self.done = 0
        """Answers so far."""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if how.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, how.receive_buffer)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(
            socket.IPPROTO_IP, 24, 1
        )  # IP_BIND_ADDRESS_NO_PORT: the port is chosen on connect
        self.socket.bind((how.source, 0))
        self.socket.connect_ex(("127.0.0.1", port))
        self.items = script(self)

    def urgent(self, data: bytes) -> None:
        """Send this after what is being sent."""
        self.pending = memoryview(bytes(self.pending) + data)

    def sip(self, size: int) -> None:
        """Read this much, on a connection that reads nothing by itself."""
        with suppress(OSError):
            self.got(self.socket.recv(size))

    # --- what comes back -----------------------------------------------------------------------

    def got(self, data: bytes) -> None:
        self.engine.received += len(data)
        self.rest += data
        if self.how.http2:
            self._frames()
        else:
            self._statuses()

    def _statuses(self) -> None:
        found = list(STATUS.finditer(self.rest))
        for one in found:
            self.engine.ends[one[1].decode()] += 1
        self.done += len(found)
        self.rest = self.rest[max(found[-1].end() if found else 0, len(self.rest) - 11) :]

    def _frames(self) -> None:
        start, rest = 0, self.rest
        while len(rest) - start >= 9:
            high, low, kind, flags, stream = h2.HEAD.unpack_from(rest, start)
            stop = start + 9 + (high << 16 | low)
            if len(rest) < stop:
                break
            self._frame(kind, flags, stream, rest[start + 9 : stop])
            start = stop
        self.rest = rest[start:]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == h2.SETTINGS and not flags & h2.ACK:
            self.urgent(h2.frame(h2.SETTINGS, h2.ACK, 0))
        elif kind == h2.GOAWAY:
            code, reason = int.from_bytes(payload[4:8], "big"), payload[8:].decode("utf-8", "replace")
            self.goaway = f"GOAWAY {code} {reason}".strip()
        elif kind == h2.RST_STREAM:
            self.engine.ends[f"RST_STREAM {int.from_bytes(payload, 'big')}"] += 1
        elif kind == h2.HEADERS:
            self.done += bool(flags & h2.END_STREAM)
            self.engine.note_trailer(payload, end=bool(flags & h2.END_STREAM))


@dataclass
class Engine:
    """All connections, until the time is up, nothing is left, or it is enough."""

    seconds: float
    enough: Callable[[], bool] = lambda: False
    sent: int = 0
    received: int = 0
    connections: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._plans: list[tuple[int, Script, How]] = []
        self._lines: dict[int, Line] = {}
        self._timers: list[tuple[float, int, Line]] = []
        self._order = itertools.count()
        self._poll = select.epoll()

    def plan(self, port: int, script: Script, how: How, count: int = 1) -> None:
        """Connections to be made when the attack begins."""
        self._plans += [(port, script, how)] * count

    def note_trailer(self, block: bytes, *, end: bool) -> None:
        """How a gRPC call ended, where the block says so without compression; otherwise that it ended."""
        if not end:
            return
        at = block.find(b"grpc-status")
        status = block[at + 12 : at + 14].strip().decode("latin-1") if at >= 0 else ""
        self.ends[f"grpc-status {status}" if status.isdigit() else "gRPC answers"] += 1

    def run(self) -> None:
        """Attack; once."""
        began = time.monotonic()
        until = began + self.seconds
        todo = iter(self._plans)
        while (now := time.monotonic()) < until and not self.enough():
            if self._ahead(now - began):
                time.sleep(0.001)
                continue
            opened = list(itertools.islice(todo, 100))
            for one in opened:
                self._open(*one)
            while self._timers and self._timers[0][0] <= now:
                self._advance(heapq.heappop(self._timers)[2])
            if not self._lines and not opened:
                break
            wait = min(0.0 if opened else 0.1, until - now)
            if self._timers:
                wait = max(0.0, min(wait, self._timers[0][0] - now))
            for number, events in self._poll.poll(wait, 512):
                line = self._lines.get(number)
                if line is not None and not self._ahead(time.monotonic() - began):
                    self._serve(line, events)
        for line in self._lines.values():
            self.ends[line.goaway or "open at the end"] += 1
            line.socket.close()
        self._poll.close()

    def _ahead(self, seconds: float) -> bool:
        """Whether more has been sent than the network of an attacker takes in this time."""
        return self.sent > BYTES_PER_SECOND * seconds + PIECE

    def _open(self, port: int, script: Script, how: How) -> None:
        if self.connections >= ENOUGH_CONNECTIONS:
            return
        try:
            line = Line(self, port, script, how)
        except OSError as error:
            self.ends[f"no socket: {errno.errorcode.get(error.errno or 0)}"] += 1
            return
        self.connections += 1
        self._lines[line.socket.fileno()] = line
        self._poll.register(line.socket, select.EPOLLOUT | (select.EPOLLIN if how.reads else 0))

    def _serve(self, line: Line, events: int) -> None:
        try:
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and (
                line.how.reads or events & (select.EPOLLHUP | select.EPOLLERR)
            ):
                data = line.socket.recv(PIECE)
                if not data:
                    self._end(line, "closed")
                    return
                line.got(data)
            if events & select.EPOLLOUT or line.pending:
                self._send(line)
        except BlockingIOError:
            self._poll.modify(line.socket, self._mask(line, writes=True))
        except ConnectionRefusedError:
            self._end(line, "refused")
        except OSError:
            self._end(line, "reset")

    def _advance(self, line: Line) -> None:
        if line.socket.fileno() >= 0:
            try:
                self._send(line)
            except BlockingIOError:
                self._poll.modify(line.socket, self._mask(line, writes=True))
            except OSError:
                self._end(line, "reset")

    def _send(self, line: Line) -> None:
        """Until the socket is full or the script waits."""
        for _ in range(4):
            if not line.pending and not self._next(line):
                return
            taken = line.socket.send(line.pending[:PIECE])
            self.sent += taken
            line.pending = line.pending[taken:]
        self._poll.modify(line.socket, self._mask(line, writes=True))

    def _next(self, line: Line) -> bool:
        """Whether there is something to send now."""
        if line.wake > time.monotonic():
            self._poll.modify(line.socket, self._mask(line, writes=False))
            return False
        item = None if line.over else next(line.items, None)
        if isinstance(item, bytes):
            line.pending = memoryview(item)
            return bool(item)
        if item is None:
            line.over = True
            if line.how.abort:
                line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._end(line, "aborted by the attacker")
                return False
        else:
            line.wake = time.monotonic() + item
            heapq.heappush(self._timers, (line.wake, next(self._order), line))
        self._poll.modify(line.socket, self._mask(line, writes=False))
        return False

    def _mask(self, line: Line, *, writes: bool) -> int:
        return (select.EPOLLIN if line.how.reads else 0) | (select.EPOLLOUT if writes else 0)

    def _end(self, line: Line, how: str) -> None:
        self.ends[line.goaway or how] += 1
        del self._lines[line.socket.fileno()]
        with suppress(OSError):
            self._poll.unregister(line.socket)
        line.socket.close()
        if line.how.again and how != "refused":
            self._open(line.port, line.script, line.how)
