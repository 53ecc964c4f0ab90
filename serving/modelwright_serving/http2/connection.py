"""One HTTP/2 connection: its greeting, its time limits, and the way it ends.

Reading frames is left to the reader, requests and answers to the streams, and when connections have to go to the host.
"""

import asyncio
from enum import IntEnum
from time import perf_counter
from typing import cast

from modelwright_serving.host import Host
from modelwright_serving.http2 import budget, frames
from modelwright_serving.http2.frames import SETTING, BrokenConnectionError, ErrorCode
from modelwright_serving.http2.headers import HeaderReader, Route
from modelwright_serving.http2.outbox import Outbox
from modelwright_serving.http2.peers import Peer, Peers
from modelwright_serving.http2.reader import FrameReader
from modelwright_serving.http2.stream import STREAM_WINDOW
from modelwright_serving.http2.streams import Streams
from modelwright_serving.memory import Account

_RETIRING = b"retiring"
_LITTLE = 512  # bytes: it takes longer to measure how long it takes to read them
_EVICTED = "the server needs the room for other connections"
_HTTP1_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ", b"DELETE ")
_HTTP1_TEXT = b"this port speaks HTTP/2 only\n"
_HTTP1_ANSWER = b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
    len(_HTTP1_TEXT),
    _HTTP1_TEXT,
)


class ConnectionPhase(IntEnum):
    """How near its end a connection is; each step follows the one before."""

    OPEN = 0
    RETIRING = 1  # GOAWAY has asked the peer to open no more streams
    RETIRED = 2  # GOAWAY has named the last stream
    CLOSED = 3  # nothing more is sent


class Http2Connection(asyncio.Protocol):
    """Called by the transport, by the reader, by its streams, and by the host's clock."""

    def __init__(self, route: Route, peers: Peers, host: Host) -> None:
        self._route = route
        self._peers = peers
        self._host = host
        self._limits = host.limits
        self._phase = ConnectionPhase.OPEN
        self._greeted = False
        self._since = host.now()  # nothing has happened, or the phase has lasted, since then
        self._unfinished_since: float | None = self._since
        self._write_blocked_since: float | None = None
        self._buffered = 0  # bytes of the account that the transport holds
        self._paused = False
        self._free = {"settings", "ack"}  # what every connection sends once
        self._transport: asyncio.Transport
        self._outbox: Outbox
        self._account: Account
        self._peer: Peer
        self._streams: Streams
        self._reader: FrameReader

    # --- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer)
        self._outbox = Outbox(self._transport, self._host.call_soon)
        self._account = self._host.account(transport)
        self._peer = self._peers.of(self._account.address, self._host)
        self._streams = Streams(
            self._outbox,
            HeaderReader(self._route, self._limits.head),
            self._host,
            self._account,
            self._peer.budget,
            self._quiet,
        )
        self._reader = FrameReader(self._streams, self, self._limits)
        if not self._host.admit(self, self._account):
            self._fail(ErrorCode.ENHANCE_YOUR_CALM, "the server has too many connections; try again shortly")

    def _greet(self, data: bytes) -> None:
        """Send SETTINGS once the caller has sent something: a caller of HTTP/1.1 gets an answer of HTTP/1.1."""
        self._greeted = True
        if data.startswith(_HTTP1_METHODS):
            self._outbox.write(_HTTP1_ANSWER)
            self._half_close()
            return
        announced = {
            frames.MAX_CONCURRENT_STREAMS: self._limits.streams,
            frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            frames.MAX_HEADER_LIST_SIZE: self._limits.head,
        }
        self._outbox.write(frames.settings(announced))
        self._streams.grant()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.stopped = True
        self._phase = ConnectionPhase.CLOSED
        self._streams.drop(answerable=False)
        self._give_buffer()
        self._host.forget(self, self._account)

    def data_received(self, data: bytes) -> None:
        if self._reader.stopped:
            return
        if not self._greeted:
            self._greet(data)
        if self._peer.busy:
            self._keep(data)
        elif len(data) <= _LITTLE:
            self._read(data)
        else:
            started = perf_counter()
            self._read(data)
            self._peer.has_read(perf_counter() - started)

    def _keep(self, data: bytes) -> None:
        """Read it when other connections have had their turn."""
        self._reader.add(data)
        if not self._reader.more:
            self._reader.more = True
            self._peer.wait(self._read_on)
            self._pace_reading()

    def _read(self, data: bytes) -> None:
        """Read a portion of what has come."""
        try:
            self._reader.feed(data)
        except BrokenConnectionError as fault:
            self._fail(fault.code, fault.message)
        self._outbox.flush()
        if not self._reader.unfinished:
            self._unfinished_since = None
        elif self._unfinished_since is None or self._reader.advanced:
            self._unfinished_since = self._host.now()
        if self._reader.more:
            self._peer.wait(self._read_on)
        if self._reader.more != self._paused:
            self._pace_reading()

    def _read_on(self) -> None:
        if not self._reader.stopped and self._write_blocked_since is None:
            started = perf_counter()
            self._read(b"")
            self._peer.has_read(perf_counter() - started)

    def _pace_reading(self) -> None:
        """Take no more from a caller that is ahead of us, or that does not read its answers."""
        paused = self._reader.more or self._write_blocked_since is not None
        if paused != self._paused and not self._transport.is_closing():
            self._paused = paused
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def eof_received(self) -> bool:
        """A caller that has finished sending may still want its answers."""
        self._reader.stopped = True
        self._unfinished_since = None
        self._streams.drop(answerable=True)
        self._streams.retire()
        if self._phase is ConnectionPhase.CLOSED or not self._streams:
            self._outbox.flush()
            return False
        self._streams.final_id = self._streams.last_id
        self._enter(ConnectionPhase.RETIRED)
        return True

    def pause_writing(self) -> None:
        """Count what the transport holds of answers that the caller does not read."""
        self._write_blocked_since = self._host.now()
        size = self._transport.get_write_buffer_size()
        if self._account.take(size):
            self._buffered = size
        else:
            self._host.call_soon(self.abort)
        self._streams.outflow.block()
        self._pace_reading()

    def resume_writing(self) -> None:
        self._write_blocked_since = None
        self._give_buffer()
        if self._phase is ConnectionPhase.CLOSED:
            self._since = self._host.now()
        self._streams.outflow.unblock()
        if self._reader.more:
            self._peer.wait(self._read_on)
        self._pace_reading()

    def _give_buffer(self) -> None:
        self._account.give(self._buffered)
        self._buffered = 0

    # --- called by the reader ----------------------------------------------------------------

    def settings(self, payload: bytes, *, ack: bool) -> None:
        kind = "ack" if ack else "settings"
        if kind in self._free:
            self._free.remove(kind)
        else:
            self._streams.idle_frame(budget.FRAME if ack else budget.SETTINGS)
        if ack:
            return
        asked: dict[int, int] = dict(SETTING.iter_unpack(payload))  # of each setting the last value counts
        if asked.get(frames.ENABLE_PUSH, 0) > 1:
            raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
        if frames.INITIAL_WINDOW_SIZE in asked:
            self._streams.set_initial_window(asked[frames.INITIAL_WINDOW_SIZE])
        if frames.MAX_FRAME_SIZE in asked:
            self._streams.outflow.set_largest_frame(asked[frames.MAX_FRAME_SIZE])
        self._outbox.write(frames.settings_ack())
        self._streams.outflow.flush()

    def ping(self, payload: bytes, *, ack: bool) -> None:
        self._streams.idle_frame(budget.FRAME)
        if not ack:
            self._outbox.write(frames.ping(payload, ack=True))
        elif payload == _RETIRING and self._phase is ConnectionPhase.RETIRING:
            self._finalize()

    # --- ending ------------------------------------------------------------------------------

    def close_if_idle(self, since: float) -> None:
        """Close a connection that has carried nothing since `since`, or any: HTTP/2 loses nothing by that."""
        if self._host.draining or self._is_idle(since):
            self._retire()

    @property
    def waiting_since(self) -> float | None:
        """Since when the server has waited for the caller; None while the caller waits for the server."""
        return self._streams.waiting_since() if self._streams else self._since

    @property
    def has_served(self) -> bool:
        """Whether it has carried a request that got a result."""
        return self._streams.has_served

    def evict(self) -> None:
        """Close at once, to make room for another connection."""
        if self._phase is not ConnectionPhase.CLOSED:
            self._outbox.write(frames.goaway(self._streams.last_id, ErrorCode.NO_ERROR, _EVICTED))
            self._outbox.flush()
        self._transport.close()

    def _is_idle(self, since: float) -> bool:
        return not self._streams and self._since <= since

    def expire(self, now: float) -> None:
        """End what takes longer than its limit."""
        limits = self._limits
        if self._write_blocked_since is not None:
            if now - self._write_blocked_since > limits.write_seconds:
                self.abort()
        elif self._phase is ConnectionPhase.CLOSED:
            if now - self._since > limits.linger_seconds:
                self.abort()
        elif self._unfinished_since is not None and now - self._unfinished_since > limits.head_seconds:
            self._fail(ErrorCode.NO_ERROR, f"a frame took longer than {limits.head_seconds:g} s")
        elif self._phase is ConnectionPhase.RETIRING and now - self._since > limits.linger_seconds:
            self._finalize()
        elif self._is_idle(now - limits.idle_seconds):
            self._retire()
        else:
            self._streams.expire(now)

    def abort(self) -> None:
        self._transport.abort()

    def _quiet(self) -> None:
        """The last stream has ended."""
        if self._phase is ConnectionPhase.RETIRED:
            self._half_close()
        elif self._phase is ConnectionPhase.OPEN:
            self._since = self._host.now()

    def _retire(self) -> None:
        """Ask for no more streams; those that are on their way until the ping comes back are still served."""
        if self._phase is not ConnectionPhase.OPEN:
            return
        self._enter(ConnectionPhase.RETIRING)
        self._outbox.write(
            frames.goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR) + frames.ping(_RETIRING, ack=False)
        )
        self._streams.retire()

    def _finalize(self) -> None:
        """Say which stream was the last; whatever comes later is not served here, and its caller knows."""
        self._streams.retire()  # those that have begun meanwhile
        self._enter(ConnectionPhase.RETIRED)
        self._streams.final_id = self._streams.last_id
        self._outbox.write(frames.goaway(self._streams.last_id, ErrorCode.NO_ERROR))
        if not self._streams:
            self._half_close()

    def _fail(self, code: ErrorCode, message: str) -> None:
        """The connection cannot go on."""
        if self._phase is ConnectionPhase.CLOSED:
            return
        self._outbox.write(frames.goaway(self._streams.last_id, code, message))
        self._half_close()
        self._streams.drop(answerable=False)

    def _half_close(self) -> None:
        """Say that nothing more comes, then wait for the peer to close: a reset could destroy the last answer."""
        self._enter(ConnectionPhase.CLOSED)
        self._outbox.flush()
        if self._reader.stopped:
            self._transport.close()
            return
        self._reader.stopped = True
        if not self._transport.is_closing():
            self._transport.write_eof()

    def _enter(self, phase: ConnectionPhase) -> None:
        self._phase = phase
        self._since = self._host.now()
