"""One HTTP/1.1 connection: one request after another, flow control, time limits, and the way it ends.

A connection's next request is run when the answer before it is on its way: a caller that does not read its answers gets
no more of them made. Reading requests is left to the reader, what they mean to the application, when connections have
to go to the host.
"""

import asyncio
from collections import deque
from functools import partial
from typing import cast

from modelwright_serving.host import Host
from modelwright_serving.http import responses
from modelwright_serving.http.encoding import UnpackError, Unpacking
from modelwright_serving.http.exchange import Application, Exchange
from modelwright_serving.http.reader import Phase, Refusal, RequestReader
from modelwright_serving.http.responses import Response
from modelwright_serving.memory import REFUSAL, Account

_SERVER_ERROR = 500


class Connection(asyncio.Protocol):
    """Called by the transport, by the reader, by exchanges that are answered, and by the host's clock."""

    def __init__(self, application: Application, host: Host) -> None:
        self._host = host
        self._limits = host.limits
        self._application = application
        self._exchanges: deque[Exchange] = deque()  # all but the last are complete
        self._running: Exchange | None = None
        self._caller_finished = False
        self._write_blocked = False
        self._unsent = 0  # bytes of answers that the caller does not read, while that blocks
        self._reading_paused = False
        self._has_run = False  # a request, in this turn
        self._unread = b""  # from `_place` on
        self._place = 0
        self._transport: asyncio.Transport
        self._reader: RequestReader
        self.account: Account
        self.phase = Phase.IDLE
        self.since = host.now()

    # --- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer)
        self.account = self._host.account(transport)
        self._reader = RequestReader(self, self._application, self._limits, self.account)
        if not self._host.admit(self, self.account):
            self._reader.refuse(503, "the server has too many connections; try again shortly")

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.stop()
        self._drop_unread()
        self._account_for_unsent(0)
        for exchange in self._exchanges:
            self._release(exchange)
            exchange.abandon()
        self._exchanges.clear()
        self._host.forget(self, self.account)

    def data_received(self, data: bytes) -> None:
        self._has_run = False
        crowded = len(data) > self._limits.portion and data.count(b"\r\n\r\n") > self._limits.pipelined
        if not crowded and not self._unread:
            self._reader.feed(data)
        elif self.account.take(len(data)):
            self._unread = self._unread[self._place :] + data
            self._place = 0
            self._read_on()
        else:
            self._reader.refuse(503, REFUSAL)

    def _read_on(self) -> None:
        """Read many small requests in portions, the next when all of the one before are answered."""
        self._has_run = False
        while self._unread and not (self._has_run or self._has_waiting or self._write_blocked):
            portion = self._unread[self._place : self._place + self._limits.portion]
            self._place += len(portion)
            self.account.give(len(portion))
            if self._place == len(self._unread):
                self._drop_unread()
            self._reader.feed(portion)
        if self.phase is Phase.ANSWER and not self._exchanges:  # what was left was no request
            self.enter(Phase.IDLE)
        self._pace_reading()
        if self._caller_finished and not self._unread and not self._reader.stopped:
            self._finish_reading()

    def _drop_unread(self) -> None:
        self.account.give(len(self._unread) - self._place)
        self._unread, self._place = b"", 0

    def eof_received(self) -> bool:
        """A caller that has finished sending may still want its answers."""
        self._caller_finished = True
        if not self._unread:
            self._finish_reading()
        return bool(self._unread or self._exchanges)

    def _finish_reading(self) -> None:
        unfinished = self._reader.stop()
        if unfinished is not None:
            self._exchanges.remove(unfinished)
        if self._exchanges:
            self._exchanges[-1].keep_alive = False
        else:
            self._transport.close()

    def pause_writing(self) -> None:
        self._write_blocked = True
        self.since = self._host.now()
        self._account_for_unsent(self._transport.get_write_buffer_size())
        self._pace_reading()

    def resume_writing(self) -> None:
        self._write_blocked = False
        self.since = self._host.now()
        self._account_for_unsent(0)
        self._go_on()

    def _account_for_unsent(self, size: int) -> None:
        self.account.charge(size - self._unsent)
        self._unsent = size

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
            self.complete(exchange)
        elif self._exchanges[0] is exchange:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def complete(self, exchange: Exchange) -> None:
        self.phase = Phase.ANSWER
        if self._has_run or self._write_blocked or self._exchanges[0] is not exchange:
            self._keep_waiting(exchange)
        else:
            self._run(exchange)

    def _keep_waiting(self, exchange: Exchange) -> None:
        """A request has come in full, and it is not its turn."""
        if self._exchanges[0] is exchange:
            self._host.call_soon(self._go_on)
        if len(self._exchanges) >= self._limits.pipelined:
            self._pace_reading()

    def refused(self, exchange: Exchange | None, response: Response) -> None:
        if exchange is None:
            exchange = Exchange(self, Refusal(response), b"GET")
            self._exchanges.append(exchange)
        self.enter(Phase.ANSWER)
        exchange.respond(response)

    # --- answering ---------------------------------------------------------------------------

    def _run(self, exchange: Exchange) -> None:
        self._running = exchange
        self._has_run = True
        if exchange.unpacking is None:
            exchange.endpoint.handle(exchange)
        elif not self._unpack(exchange, exchange.unpacking):
            self._host.steps.add(partial(self._unpack, exchange, exchange.unpacking))

    def _unpack(self, exchange: Exchange, unpacking: Unpacking) -> bool:
        """Unpack a part of the body; True if no part is left, and the request is on its way or answered."""
        try:
            plain = None if exchange.settled else unpacking.step()
        except UnpackError as error:
            unpacking.drop()
            exchange.unpacking = None
            exchange.respond(responses.error(error.status, error.message))
            return True
        if exchange.settled:
            unpacking.drop()
        elif plain is not None:
            exchange.unpacking = None
            self._release(exchange)
            exchange.body = plain
            exchange.endpoint.handle(exchange)
        return exchange.settled or plain is not None

    def answered(self, exchange: Exchange) -> None:
        if exchange.body:
            self._release(exchange)
        exchanges, response = self._exchanges, exchange.response
        if exchanges and exchanges[0] is exchange and response is not None and not self._write_blocked:
            self._write_answer(exchange, response)

    def _release(self, exchange: Exchange) -> None:
        self.account.give(len(exchange.body) + exchange.held)
        exchange.body = b""
        exchange.held = 0

    def _write_answer(self, exchange: Exchange, response: Response) -> None:
        """Write the first answer; what waits behind it goes on in the next turn of the event loop."""
        self._exchanges.popleft()
        exchange.response = None  # the exchange may be kept, its answer must not
        closing = self._is_last(exchange, response)
        self._transport.write(self._written(exchange, response, closing=closing))
        if closing:
            self._half_close()
        elif self._exchanges or self._unread:
            self._host.call_soon(self._go_on)
        elif self.phase is Phase.ANSWER:
            self.enter(Phase.IDLE)

    def _go_on(self) -> None:
        """Write, run or read what has waited for the answer before it."""
        if not self._write_blocked and not self._transport.is_closing():
            if not self._has_waiting:
                self._read_on()
            elif (response := self._exchanges[0].response) is not None:
                self._write_answer(self._exchanges[0], response)
            elif self._exchanges[0] is not self._running:
                self._run(self._exchanges[0])
        self._pace_reading()

    def _is_last(self, exchange: Exchange, response: Response) -> bool:
        """Whether nothing follows: asked for, inevitable, or because the server drains and nothing waits here."""
        if response.close or not exchange.keep_alive:
            return True
        if not self._host.draining or self._exchanges or self._unread:
            return False
        return self.phase not in {Phase.HEAD, Phase.BODY}

    def _written(self, exchange: Exchange, response: Response, *, closing: bool) -> bytes:
        connection = b""
        if closing:
            connection = b"connection: close\r\n"
        elif exchange.http10:
            connection = b"connection: keep-alive\r\n"
        if response.status >= _SERVER_ERROR and exchange.endpoint.takes_body:
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

    @property
    def _has_waiting(self) -> bool:
        """Whether a request that has come in full is not answered yet."""
        return bool(self._exchanges) and self._exchanges[0] is not self._reader.unfinished

    def _pace_reading(self) -> None:
        """Read no requests from a caller that does not read its answers, or sends faster than it is answered."""
        crowded = self._unread or len(self._exchanges) >= self._limits.pipelined
        paused = self._write_blocked or bool(crowded)
        if paused == self._reading_paused or self._transport.is_closing():
            return
        self._reading_paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # --- ending ------------------------------------------------------------------------------

    def _half_close(self) -> None:
        """Say that nothing more comes, then wait for the caller to close: a reset could destroy the last answer."""
        self._reader.stop()
        self._drop_unread()
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
        return None if self._has_waiting and not self._write_blocked else self.since

    @property
    def has_served(self) -> bool:
        """Whether it has carried a request."""
        return self._running is not None

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
                self._end_if_unread(now)
        elif self.phase is Phase.IDLE:
            self.close_if_idle(now - limits.idle_seconds)
        elif self.phase is Phase.HEAD and waited > limits.head_seconds:
            self._reader.refuse(408, f"the request's headers took longer than {limits.head_seconds:g} s")
        elif self.phase is Phase.BODY and waited > limits.body_seconds:
            self._reader.refuse(408, f"the request's body took longer than {limits.body_seconds:g} s")
        elif self.phase is Phase.LINGER and waited > limits.linger_seconds:
            self.abort()

    def _end_if_unread(self, now: float) -> None:
        """End a connection whose caller has read too little of its answers in the last `write_seconds`."""
        left = self._transport.get_write_buffer_size()
        if self._unsent - left < self._limits.unread_rate * self._limits.write_seconds:
            self.abort()
            return
        self._account_for_unsent(left)
        self.since = now

    def abort(self) -> None:
        self._transport.abort()
