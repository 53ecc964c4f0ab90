"""One HTTP/1.1 connection: answers in the order of their requests, flow control, time limits, and the way it ends.

Reading requests is left to the reader, what they mean to the application, when connections have to go to the host.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import cast

from modelwright_serving.host import Host
from modelwright_serving.http import responses
from modelwright_serving.http.exchange import Application, Exchange
from modelwright_serving.http.reader import Phase, Refusal, RequestReader
from modelwright_serving.http.responses import Response
from modelwright_serving.memory import Account

# Bytes: of many small requests that arrive together, as much is read at once.
_PORTION = 4096


class Connection(asyncio.Protocol):
    """Called by the transport, by the reader, by exchanges that are answered, and by the host's clock."""

    def __init__(self, application: Application, host: Host) -> None:
        self._host = host
        self._limits = host.limits
        self._application = application
        self._exchanges: deque[Exchange] = deque()
        self._caller_finished = False
        self._write_blocked = False
        self._reading_paused = False
        self._unread = b""
        self._transport: asyncio.Transport
        self._account: Account
        self._reader: RequestReader
        self.phase = Phase.IDLE
        self.since = host.now()

    # --- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer)
        self._account = self._host.account(transport)
        self._reader = RequestReader(self, self._application, self._limits, self._account)
        if not self._host.admit(self, self._account):
            self._reader.refuse(503, "the server has too many connections; try again shortly")

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.stop()
        self._unread = b""
        for exchange in self._exchanges:
            self._release(exchange)
            exchange.abandon()
        self._exchanges.clear()
        self._host.forget(self, self._account)

    def data_received(self, data: bytes) -> None:
        crowded = len(data) > _PORTION and data.count(b"\r\n\r\n") > self._limits.pipelined
        if crowded or self._unread:
            self._unread += data
            self._read_on()
        else:
            self._reader.feed(data)

    def _read_on(self) -> None:
        """Read many small requests in portions: each may ask for a large answer, which nobody may ever read."""
        while self._unread and not self._reading_paused:
            portion, self._unread = self._unread[:_PORTION], self._unread[_PORTION:]
            self._reader.feed(portion)

    def eof_received(self) -> bool:
        """A caller that has finished sending may still want its answers."""
        self._caller_finished = True
        if self._unread:
            self._reader.feed(self._unread)
            self._unread = b""
        unfinished = self._reader.stop()
        if unfinished is not None:
            self._exchanges.remove(unfinished)
        if not self._exchanges:
            return False
        self._exchanges[-1].keep_alive = False
        return True

    def pause_writing(self) -> None:
        self._write_blocked = True
        self.since = self._host.now()
        self._pace_reading()

    def resume_writing(self) -> None:
        self._write_blocked = False
        self.since = self._host.now()
        self._pace_reading()

    # --- called by the reader ----------------------------------------------------------------

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self.since = self._host.now()

    def opened(self, exchange: Exchange) -> None:
        self._exchanges.append(exchange)

    def body_wanted(self, exchange: Exchange) -> None:
        if not exchange.endpoint.takes_body:
            exchange.keep_alive = False  # whether the body comes nevertheless cannot be known
            self._reader.stop()
            exchange.endpoint.handle(exchange)
        elif self._exchanges[0] is exchange:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def complete(self, exchange: Exchange) -> None:
        self.phase = Phase.ANSWER
        exchange.endpoint.handle(exchange)
        if len(self._exchanges) >= self._limits.pipelined:
            self._pace_reading()

    def refused(self, exchange: Exchange | None, response: Response) -> None:
        if exchange is None:
            exchange = Exchange(self, Refusal(response), b"GET")
            self._exchanges.append(exchange)
        self.enter(Phase.ANSWER)
        exchange.respond(response)

    # --- answering ---------------------------------------------------------------------------

    def answered(self, exchange: Exchange) -> None:
        self._release(exchange)
        if self._exchanges and self._exchanges[0] is exchange:
            self._write_answers()

    def _release(self, exchange: Exchange) -> None:
        self._account.give(len(exchange.body))
        exchange.body = b""

    def _write_answers(self) -> None:
        """Write every answer whose turn it is."""
        parts: list[bytes] = []
        closing = False
        while self._exchanges and (response := self._exchanges[0].response) is not None and not closing:
            exchange = self._exchanges.popleft()
            closing = self._is_last(exchange, response)
            parts.append(self._written(exchange, response, closing=closing))
        self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
        if closing:
            self._half_close()
            return
        if self._reading_paused:
            self._pace_reading()
        if not self._exchanges and self.phase is Phase.ANSWER:
            self.enter(Phase.IDLE)

    def _is_last(self, exchange: Exchange, response: Response) -> bool:
        """Whether nothing follows: asked for, inevitable, or because the server drains and nothing waits here."""
        if response.close or not exchange.keep_alive:
            return True
        return self._host.draining and not self._exchanges and self.phase not in {Phase.HEAD, Phase.BODY}

    def _written(self, exchange: Exchange, response: Response, *, closing: bool) -> bytes:
        connection = b""
        if closing:
            connection = b"connection: close\r\n"
        elif exchange.http10:
            connection = b"connection: keep-alive\r\n"
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and exchange.endpoint.takes_body:
            error = response.body.decode("utf-8", "replace")
            self._host.failures.write(self._host.now(), response.status, error, exchange.headers)
        return b"%b%b%b%bcontent-length: %d\r\n\r\n%b" % (
            response.head,
            responses.date_header(),
            exchange.echo,
            connection,
            len(response.body),
            b"" if exchange.method == b"HEAD" else response.body,
        )

    def _pace_reading(self) -> None:
        """Read no requests from a caller that does not read its answers."""
        paused = self._write_blocked or len(self._exchanges) >= self._limits.pipelined
        if paused == self._reading_paused or self._transport.is_closing():
            return
        self._reading_paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
            if self._unread:
                self._host.call_soon(self._read_on)

    # --- ending ------------------------------------------------------------------------------

    def _half_close(self) -> None:
        """Say that nothing more comes, then wait for the caller to close: a reset could destroy the last answer."""
        self._reader.stop()
        self.enter(Phase.LINGER)
        if self._transport.is_closing():
            return
        if self._caller_finished:
            self._transport.close()
            return
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        self._transport.write_eof()

    @property
    def waiting_since(self) -> float | None:
        """Since when the server has waited for the caller; None while the caller waits for the server."""
        exchanges = self._exchanges
        if self._write_blocked or not exchanges or exchanges[0] is self._reader.unfinished:
            return self.since
        return None

    def evict(self) -> None:
        """Close at once, to make room for another connection."""
        self.abort()

    def close_if_idle(self, since: float) -> None:
        """Close a connection that carries nothing and has carried nothing since `since`."""
        if self.phase is Phase.IDLE and self.since <= since:
            self._half_close()

    def expire(self, now: float) -> None:
        """End what takes longer than its limit."""
        waited = now - self.since
        limits = self._limits
        if self._write_blocked:
            if waited > limits.write_seconds:
                self.abort()
        elif self.phase is Phase.IDLE:
            self.close_if_idle(now - limits.idle_seconds)
        elif self.phase is Phase.HEAD and waited > limits.head_seconds:
            self._reader.refuse(408, f"the request's headers took longer than {limits.head_seconds:g} s")
        elif self.phase is Phase.BODY and waited > limits.body_seconds:
            self._reader.refuse(408, f"the request's body took longer than {limits.body_seconds:g} s")
        elif self.phase is Phase.LINGER and waited > limits.linger_seconds:
            self.abort()

    def abort(self) -> None:
        self._transport.abort()
