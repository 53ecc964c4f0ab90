"""Sends requests to another revision: HTTP/1.1 over kept connections, bounded in number, time and size.

Independent of rules and models. A request has exactly one outcome: a response, or the reason why there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import cast

import httptools

from modelwright_serving.limits import TRAFFIC, TrafficLimits
from modelwright_serving.memory import Memory
from modelwright_serving.oip.signature import DIGEST

CONTENT_TYPE = b"content-type"
JSON_LENGTH = b"inference-header-content-length"
# The only headers of a response that are kept; what is passed on to callers is chosen from these.
_KEPT = frozenset((CONTENT_TYPE, JSON_LENGTH, DIGEST))


class Failure(Enum):
    """Why there is no response."""

    UNREACHABLE = "Unreachable"
    """No connection was made in time."""
    TIMEOUT = "Timeout"
    BROKEN = "Broken"
    OVERLOADED = "Overloaded"
    NO_MEMORY = "NoMemory"
    """This server had no memory left for the request, or for the response: the other revision is not to blame."""


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """A response of the other revision. `headers`: those of `_KEPT`, by name in lower case, the last of each."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """A whole HTTP request. Its parts are not joined, so that a large body is not copied."""

    head: bytes
    body: bytes

    def __len__(self) -> int:
        return len(self.head) + len(self.body)


class SentRequest:
    """One request that waits for its outcome."""

    __slots__ = (
        "_done",
        "_release",
        "_timer",
        "connection",
        "held",
        "is_repeated",
        "request",
        "seconds",
        "settled",
    )

    def __init__(
        self,
        request: Request,
        seconds: float,
        done: Callable[[ReceivedResponse | Failure], None],
        release: Callable[[SentRequest], None],
    ) -> None:
        self.request = request
        self.held = 0  # bytes of the client's account
        self.seconds = seconds
        self.settled = False
        self.is_repeated = False
        self.connection: _Connection | None = None
        self._done = done
        self._release = release
        self._timer: asyncio.TimerHandle | None = None

    def expire_at(self, timer: asyncio.TimerHandle) -> None:
        self._timer = timer

    def expire(self) -> None:
        """The time is over. Packets that a network policy drops are like a server that is not there."""
        self.settle(Failure.UNREACHABLE if self.connection is None else Failure.TIMEOUT)

    def settle(self, outcome: ReceivedResponse | Failure) -> None:
        """Report the outcome, unless one was reported or the request was abandoned."""
        if not self.settled:
            self.abandon()
            self._done(outcome)

    def abandon(self) -> None:
        """The outcome is no longer needed. A connection that is busy with the request is of no further use."""
        if self.settled:
            return
        self.settled = True
        self._release(self)
        if self._timer is not None:
            self._timer.cancel()
        if self.connection is not None:
            self.connection.drop()


class Client:
    """The connections to one revision. What they hold is in an account of the server's memory of its own."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        port: int,
        memory: Memory,
        limits: TrafficLimits = TRAFFIC,
    ) -> None:
        self.loop = loop
        self._host = host
        self._port = port
        self.limits = limits
        self._account = memory.join(f"to {host}")
        self._idle: list[_Connection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._closed = False

    def __len__(self) -> int:
        """The requests that wait for their outcome."""
        return self._waiting

    def send(
        self, request: Request, seconds: float, done: Callable[[ReceivedResponse | Failure], None]
    ) -> SentRequest:
        """Send a request; `done` is called with its outcome in a later turn, at the latest after `seconds`."""
        sent = SentRequest(request, seconds, done, self._ended)
        self._waiting += 1
        if self._closed or self._waiting > self.limits.requests:
            self.loop.call_soon(sent.settle, Failure.OVERLOADED)
            return sent
        if not self.hold(sent, len(request)):
            self.loop.call_soon(sent.settle, Failure.NO_MEMORY)
            return sent
        sent.expire_at(self.loop.call_later(seconds, sent.expire))
        if self._idle:
            self._idle.pop().begin(sent)
        else:
            self._open(sent)
        return sent

    def hold(self, sent: SentRequest, size: int) -> bool:
        """Hold `size` bytes more until the request is settled; False if there is no memory for them."""
        taken = self._account.take(size)
        if taken:
            sent.held += size
        return taken

    def close(self) -> None:
        """Take no more requests; those that were sent end as they would."""
        self._closed = True
        self._account.leave()
        for connection in self._idle:
            connection.drop()
        self._idle.clear()

    def _ended(self, sent: SentRequest) -> None:
        self._waiting -= 1
        self._account.give(sent.held)

    def _open(self, sent: SentRequest) -> None:
        """Send the request over a new connection."""
        task = self.loop.create_task(self._connect(sent))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, sent: SentRequest) -> None:
        try:
            async with asyncio.timeout(sent.seconds):
                _, connection = await self.loop.create_connection(
                    lambda: _Connection(self), self._host, self._port
                )
        except OSError:  # a TimeoutError is one
            sent.settle(Failure.UNREACHABLE)
            return
        if sent.settled:
            self.returned(connection)
        else:
            connection.begin(sent)

    def returned(self, connection: _Connection) -> None:
        """Keep a connection that can be used again."""
        if self._closed or len(self._idle) >= self.limits.idle:
            connection.drop()
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection, sent: SentRequest | None) -> None:
        """A connection has ended. If it was a kept one, the server may have closed it just before it was used: then
        the request is sent once more, over a new connection."""
        with suppress(ValueError):
            self._idle.remove(connection)
        if sent is None or sent.settled:
            return
        sent.connection = None
        if connection.is_reused and not connection.has_received and not sent.is_repeated:
            sent.is_repeated = True
            self._open(sent)
        else:
            sent.settle(Failure.BROKEN)


class _Connection(asyncio.Protocol):
    """One connection: at most one request at a time. Ends at anything that is not its one response."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sent: SentRequest | None = None
        self._parser: httptools.HttpResponseParser
        self._transport: asyncio.Transport
        self._headers: dict[bytes, bytes] = {}
        self._head_size = 0
        self._unparsed = 0  # what may be part of a head without end
        self._body = bytearray()
        self._in_head = True
        self._status: int | None = None
        self._is_kept = False
        self._is_excess = False
        self.is_reused = False
        self.has_received = False

    def begin(self, sent: SentRequest) -> None:
        """Send a request."""
        self.has_received = False
        if self._transport.is_closing():
            self._client.lost(self, sent)
            return
        self._sent = sent
        sent.connection = self
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body = {}, bytearray()
        self._head_size = self._unparsed = 0
        self._in_head, self._status, self._is_excess = True, None, False
        self._transport.writelines((sent.request.head, sent.request.body))

    def drop(self) -> None:
        """Close at once. A request that waits here fails."""
        self._transport.abort()

    # --- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        sent, self._sent = self._sent, None
        self._client.lost(self, sent)

    def data_received(self, data: bytes) -> None:
        if self._sent is None:
            self.drop()  # nothing was requested
            return
        self.has_received = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.drop()
            return
        if self._in_head:
            self._unparsed += len(data)
        if self._is_excess or max(self._head_size, self._unparsed) > self._client.limits.head:
            self.drop()
        elif self._status is not None:
            self._finish(self._sent, self._status)

    def _finish(self, sent: SentRequest, status: int) -> None:
        self._sent = sent.connection = None
        response = ReceivedResponse(status, self._headers, bytes(self._body))
        self._body = bytearray()
        if self._is_kept:
            self.is_reused = True
            self._client.returned(self)
        else:
            self.drop()
        sent.settle(response)

    # --- called by the parser ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_excess = self._status is not None  # a second response to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._in_head and (known := name.lower()) in _KEPT:
            self._headers[known] = value

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, part: bytes) -> None:
        sent = self._sent
        if sent is None or len(self._body) + len(part) > self._client.limits.answer:
            self._is_excess = True
        elif self._client.hold(sent, len(part)):
            self._body += part
        else:
            sent.settle(Failure.NO_MEMORY)

    def on_message_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._is_kept = self._parser.should_keep_alive()
