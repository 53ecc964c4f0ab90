"""Asks the other revision: HTTP/1.1 over connections that are kept, bounded in number, time and size.

Knows nothing of rules and models. Whoever asks gets exactly one outcome, an answer or the reason why there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast

import httptools

MAX_CALLS = 256
MAX_IDLE = 64
MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024**2


class Failure(Enum):
    """Why there is no answer."""

    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    BROKEN = "Broken"
    OVERLOADED = "Overloaded"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


Outcome: TypeAlias = Answer | Failure


class Call:
    """One request that waits for its outcome."""

    __slots__ = ("_done", "_release", "_timer", "connection", "is_repeated", "request", "seconds", "settled")

    def __init__(
        self, request: bytes, seconds: float, done: Callable[[Outcome], None], release: Callable[[], None]
    ) -> None:
        self.request = request
        self.seconds = seconds
        self.settled = False
        self.is_repeated = False
        self.connection: _Connection | None = None
        self._done = done
        self._release = release
        self._timer: asyncio.TimerHandle | None = None

    def expire_at(self, timer: asyncio.TimerHandle) -> None:
        self._timer = timer

    def settle(self, outcome: Outcome) -> None:
        """Tell the outcome, if nothing has been told yet."""
        if not self.settled:
            self.abandon()
            self._done(outcome)

    def abandon(self) -> None:
        """Nobody waits any more; a connection that is busy with it is of no further use."""
        if self.settled:
            return
        self.settled = True
        self._release()
        if self._timer is not None:
            self._timer.cancel()
        if self.connection is not None:
            self.connection.drop()


class Client:
    """The connections to one revision."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        self._loop = loop
        self._host = host
        self._port = port
        self._idle: list[_Connection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._calls = 0
        self._closed = False

    def __len__(self) -> int:
        """The calls that wait for their outcome."""
        return self._calls

    def send(self, request: bytes, seconds: float, done: Callable[[Outcome], None]) -> Call:
        """Send a whole HTTP request; `done` hears of the outcome in a later turn, at the latest after `seconds`."""
        call = Call(request, seconds, done, self._ended)
        self._calls += 1
        if self._closed or self._calls > MAX_CALLS:
            self._loop.call_soon(call.settle, Failure.OVERLOADED)
            return call
        call.expire_at(self._loop.call_later(seconds, call.settle, Failure.TIMEOUT))
        self._start(call)
        return call

    def close(self) -> None:
        """Take no more calls; those under way end as they would."""
        self._closed = True
        for connection in self._idle:
            connection.drop()
        self._idle.clear()

    def _ended(self) -> None:
        self._calls -= 1

    def _start(self, call: Call) -> None:
        if self._idle:
            self._idle.pop().begin(call)
            return
        task = self._loop.create_task(self._connect(call))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, call: Call) -> None:
        try:
            async with asyncio.timeout(call.seconds):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self), self._host, self._port
                )
        except TimeoutError:
            call.settle(Failure.TIMEOUT)
            return
        except OSError:
            call.settle(Failure.UNREACHABLE)
            return
        if call.settled:
            self.returned(connection)
        else:
            connection.begin(call)

    def returned(self, connection: _Connection) -> None:
        """The connection may be used again."""
        if self._closed or len(self._idle) >= MAX_IDLE:
            connection.drop()
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection, call: Call | None) -> None:
        """The connection is no more. A kept one may have been closed just as it was used: then once more."""
        with suppress(ValueError):
            self._idle.remove(connection)
        if call is None or call.settled:
            return
        call.connection = None
        if connection.is_reused and not connection.has_received and not call.is_repeated:
            call.is_repeated = True
            self._start(call)
        else:
            call.settle(Failure.BROKEN)


class _Connection(asyncio.Protocol):
    """One connection: at most one call at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._call: Call | None = None
        self._parser: httptools.HttpResponseParser
        self._transport: asyncio.Transport
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._complete = False
        self._is_kept = False
        self.is_reused = False
        self.has_received = False

    def begin(self, call: Call) -> None:
        """Send the call's request."""
        self.has_received = self._complete = False
        if self._transport.is_closing():
            self._client.lost(self, call)
            return
        self._call = call
        call.connection = self
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body, self._size = {}, [], 0
        self._transport.write(call.request)

    def drop(self) -> None:
        """Close at once; a call under way hears of it."""
        self._transport.abort()

    # --- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        call, self._call = self._call, None
        self._client.lost(self, call)

    def data_received(self, data: bytes) -> None:
        if self._call is None:
            self.drop()  # nobody has asked for anything
            return
        self.has_received = True
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.drop()
            return
        if self._size > MAX_HEAD + MAX_BODY:
            self.drop()
        elif self._complete:
            self._finish(self._call)

    def _finish(self, call: Call) -> None:
        self._call = call.connection = None
        answer = Answer(self._parser.get_status_code(), self._headers, b"".join(self._body))
        if self._is_kept:
            self.is_reused = True
            self._client.returned(self)
        else:
            self.drop()
        call.settle(answer)

    # --- called by the parser ----------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        self._complete = True
        self._is_kept = self._parser.should_keep_alive()
