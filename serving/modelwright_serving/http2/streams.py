"""The streams of one connection: their states, the bodies of their requests, and the windows that we grant.

A window is granted again as soon as half of it is used, so windows do not bound what is held: the handler's limit
bounds one body, the caller's account bounds all of its bodies. Reading frames is left to the reader, sending answers to
the outflow, the connection's own life to the connection.
"""

from collections.abc import Callable
from time import monotonic

from modelwright_serving.host import Host
from modelwright_serving.http2 import budget, frames
from modelwright_serving.http2.budget import FrameBudget
from modelwright_serving.http2.frames import (
    DEFAULT_WINDOW,
    BrokenConnectionError,
    BrokenStreamError,
    ErrorCode,
    HeaderBlock,
)
from modelwright_serving.http2.headers import USUAL_FIELDS, HeaderReader, RoutedHead
from modelwright_serving.http2.outbox import Outbox
from modelwright_serving.http2.outflow import Outflow
from modelwright_serving.http2.request import Fields, MalformedHeadersError, check_trailers
from modelwright_serving.http2.stream import STREAM_WINDOW, Stream
from modelwright_serving.memory import Account

CONNECTION_WINDOW = 16 * 1024**2
_MAX_RESET = 256
# Bytes: smaller parts of a body, and smaller steps of a window, have their price.
_SMALL_PART = 64
_SMALL_STEP = 1024


class Streams:
    """Called by the reader, and by streams that are answered; calls `quiet` when the last one has ended."""

    def __init__(
        self,
        outbox: Outbox,
        headers: HeaderReader,
        host: Host,
        account: Account,
        allowance: FrameBudget,
        quiet: Callable[[], None],
    ) -> None:
        self._write = outbox.write
        self._headers = headers
        self._host = host
        self._limits = host.limits
        self.account = account
        self._budget = allowance
        self._quiet = quiet
        self._open: dict[int, Stream] = {}
        self._reset: dict[int, None] = {}  # ended by us, so that the peer may still send on them
        self._credit = DEFAULT_WINDOW
        self.has_served = False  # whether a result has been sent
        self.last_id = 0
        self.final_id = frames.MAX_STREAM_ID
        self.outflow = Outflow(outbox, host, account, self._sent, self._give_up, self._is_last)

    def __len__(self) -> int:
        return len(self._open)

    def grant(self) -> None:
        """Let the peer send as much on the connection as it may hold."""
        self._write(frames.window_update(0, CONNECTION_WINDOW - self._credit))
        self._credit = CONNECTION_WINDOW

    # --- called by the reader ----------------------------------------------------------------

    def headers(self, stream_id: int, block: bytes, *, end: bool) -> None:
        """A request begins, or ends with trailers."""
        known = self._open.get(stream_id)
        if known is not None:
            self._trailers(known, block, end=end)
        elif stream_id > self.last_id and stream_id & 1:
            self._begin(stream_id, block, end=end)
        elif stream_id in self._reset:
            self._fields(block, budget.FRAME)  # only to keep up with the peer's table
        else:
            code = ErrorCode.STREAM_CLOSED if stream_id & 1 else ErrorCode.PROTOCOL_ERROR
            raise BrokenConnectionError(code, f"HEADERS for stream {stream_id}, which cannot be opened")

    def data(self, stream_id: int, payload: bytes, size: int, *, end: bool) -> None:
        """Part of a request's body; `size` counts the padding, too."""
        self._credit -= size
        if self._credit < CONNECTION_WINDOW // 2:
            self.grant()
        stream = self._open.get(stream_id)
        if stream is None or not stream.remote_open:
            self._stray(stream_id)
            return
        if stream.chunks or not end:
            if not self._take_part(stream, payload, size, end=end):
                return
        elif not self._hold(stream, payload):
            return
        else:
            stream.body = payload
        if end:
            self._complete(stream)

    def reset(self, stream_id: int) -> None:
        """The caller has given up."""
        self._expect_begun(stream_id)
        self.idle_frame(budget.FRAME)
        stream = self._open.get(stream_id)
        if stream is not None:
            self._drop(stream)

    def widen(self, stream_id: int, size: int) -> None:
        """The caller takes more of its answers: free in good steps, as far as it gives back what was used."""
        if stream_id == 0:
            known = self.outflow.widen(size)
        else:
            self._expect_begun(stream_id)
            stream = self._open.get(stream_id)
            known = stream is not None and self.outflow.widen_stream(stream, size)
        if not known or size < _SMALL_STEP:
            self.idle_frame(budget.FRAME)

    def set_initial_window(self, size: int) -> None:
        self.outflow.set_initial_window(size, list(self._open.values()))

    def idle_frame(self, price: float) -> None:
        """A frame came that carries no work."""
        if not self._budget.spend(self._host.now(), price):
            raise BrokenConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that carry no request")

    def stream_failed(self, fault: BrokenStreamError) -> None:
        """The peer broke the protocol on one stream."""
        self._expect_begun(fault.stream_id)  # what has not begun cannot be reset
        self.idle_frame(budget.FRAME)
        self._end(fault.stream_id, fault.code)

    # --- called by streams -------------------------------------------------------------------

    def answer(self, stream: Stream, head: HeaderBlock, body: bytes, trailer: HeaderBlock) -> None:
        self._release(stream)
        self.outflow.answer(stream, head, body, trailer)

    def refuse(self, stream: Stream, head: HeaderBlock, body: bytes) -> None:
        self._release(stream)
        self.outflow.refuse(stream, head, body)

    def start(self, stream: Stream, head: HeaderBlock) -> None:
        self._release(stream)
        self.outflow.start(stream, head)

    def send(self, stream: Stream, body: bytes) -> None:
        self.outflow.send(stream, body)

    def finish(self, stream: Stream, trailer: HeaderBlock) -> None:
        self._release(stream)
        self.outflow.finish(stream, trailer)

    def failed(self, stream: Stream, code: str, message: str) -> None:
        self._host.failures.write(self._host.now(), code, message, stream.handler.headers)

    def hold(self, stream: Stream, size: int) -> bool:
        if not self.account.take(size):
            return False
        stream.received += size
        return True

    def may_keep(self) -> bool:
        """Whether one more answer may last as long as the connection."""
        kept = sum(1 for other in self._open.values() if other.on_retire is not None)
        return kept < self._limits.watches

    # --- called by the connection ------------------------------------------------------------

    def waiting_since(self) -> float | None:
        """Since when all streams have waited for the caller: to go on, to end a Watch, or to take its answers."""
        streams = self._open.values()
        if any(not (stream.remote_open or stream.settled or stream.on_retire) for stream in streams):
            return None
        return min([stream.since for stream in streams])

    def expire(self, now: float) -> None:
        """End what takes longer than its limit."""
        clock = monotonic()
        for stream in list(self._open.values()):
            if not stream.settled and clock >= stream.deadline:
                stream.handler.late(stream)
            elif stream.pending:
                self._expect_progress(stream, now - stream.since)
            elif stream.remote_open and now - stream.since > self._limits.body_seconds:
                self._end(stream.id, ErrorCode.CANCEL)

    def _expect_progress(self, stream: Stream, waited: float) -> None:
        """Give up an answer that is not taken, or that is taken too slowly."""
        if waited <= self._limits.write_seconds:
            return
        if stream.sent - stream.taken < waited * self._limits.unread_rate:
            self._end(stream.id, ErrorCode.CANCEL)
        else:
            stream.since, stream.taken = stream.since + waited, stream.sent

    def retire(self) -> None:
        """End the streams that would last as long as the connection."""
        for stream in list(self._open.values()):
            if stream.on_retire is not None:
                stream.on_retire()

    def drop(self, *, answerable: bool) -> None:
        """Nothing more comes from the peer; it may still take answers to requests that are complete."""
        for stream in list(self._open.values()):
            if stream.remote_open or not answerable:
                self._drop(stream)

    # --- a stream's way ----------------------------------------------------------------------

    def _begin(self, stream_id: int, block: bytes, *, end: bool) -> None:
        if stream_id > self.final_id:
            self._fields(block, budget.FRAME)  # the peer knows that it is not answered here
            return
        self.last_id = stream_id
        head = self._headers.known(block) or self._head(stream_id, block)
        if len(self._open) >= self._limits.streams:
            raise BrokenStreamError(stream_id, ErrorCode.REFUSED_STREAM, "too many streams")
        handler = head.handler
        stream = Stream(self, stream_id, handler, self.outflow.initial_window, self._host.now())
        stream.content_length = head.content_length
        if handler.seconds is not None:
            stream.deadline = monotonic() + handler.seconds
        self._open[stream_id] = stream
        if end:
            self._complete(stream)
        elif not handler.reads_body:
            handler.handle(stream)
        elif (head.content_length or 0) > handler.body_limit:
            handler.too_large(stream)

    def _head(self, stream_id: int, block: bytes) -> RoutedHead:
        fields = self._fields(block)
        try:
            return self._headers.request(block, fields)
        except MalformedHeadersError as error:
            raise BrokenStreamError(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from None

    def _fields(self, block: bytes, price: float = 0.0) -> Fields:
        """Decode a block; what it costs depends on what is in it, not on its size: a field may be a single byte."""
        fields = self._headers.fields(block)
        price += max(0, len(fields) - USUAL_FIELDS) * budget.FIELD
        if price:
            self.idle_frame(price)
        return fields

    def _trailers(self, stream: Stream, block: bytes, *, end: bool) -> None:
        fields = self._fields(block)
        if not stream.remote_open:
            raise BrokenStreamError(stream.id, ErrorCode.STREAM_CLOSED, "HEADERS after the request's end")
        try:
            check_trailers(fields)
        except MalformedHeadersError as error:
            raise BrokenStreamError(stream.id, ErrorCode.PROTOCOL_ERROR, str(error)) from None
        if not end:
            raise BrokenStreamError(stream.id, ErrorCode.PROTOCOL_ERROR, "trailers have to end the request")
        stream.body = b"".join(stream.chunks)
        self._complete(stream)

    def _take_part(self, stream: Stream, payload: bytes, size: int, *, end: bool) -> bool:
        """Keep a part of a body that comes in several, and let the peer go on."""
        stream.credit -= size
        if not end and len(payload) < _SMALL_PART:
            self.idle_frame(budget.SMALL_DATA if payload else budget.FRAME)
        if not self._hold(stream, payload):
            return False
        if payload:
            stream.chunks.append(payload)
        if end:
            stream.body = b"".join(stream.chunks)
        elif stream.credit < STREAM_WINDOW // 2:
            self._write(frames.window_update(stream.id, STREAM_WINDOW - stream.credit))
            stream.credit = STREAM_WINDOW
        return True

    def _hold(self, stream: Stream, payload: bytes) -> bool:
        """Whether there is room for more of the body; otherwise the request has been answered."""
        size = len(payload)
        if stream.received + size > stream.handler.body_limit:
            stream.handler.too_large(stream)
            return False
        if not self.account.take(size):
            stream.handler.overloaded(stream)
            return False
        stream.received += size
        return True

    def _complete(self, stream: Stream) -> None:
        stream.remote_open = False
        if stream.content_length is not None and stream.content_length != stream.received:
            raise BrokenStreamError(
                stream.id, ErrorCode.PROTOCOL_ERROR, "content-length is not the body's length"
            )
        stream.handler.handle(stream)

    def _release(self, stream: Stream) -> None:
        """The body has served its purpose."""
        self.account.give(stream.received)
        stream.received = 0
        stream.body = b""
        stream.chunks.clear()

    def _sent(self, stream: Stream) -> None:
        """The answer is on its way in full; a caller that still sends may stop."""
        if stream.result:
            self.has_served = True
            self._budget.earn()
        if stream.remote_open:
            self._end(stream.id, ErrorCode.NO_ERROR)
            return
        del self._open[stream.id]
        if not self._open:
            self._quiet()

    def _is_last(self) -> bool:
        """Whether no other answer will follow, so that waiting for it gains nothing."""
        return len(self._open) == 1

    def _give_up(self, stream: Stream) -> None:
        """There is no room for an answer that its caller does not take."""
        self._end(stream.id, ErrorCode.ENHANCE_YOUR_CALM)

    def _end(self, stream_id: int, code: ErrorCode) -> None:
        self._write(frames.rst_stream(stream_id, code))
        if len(self._reset) >= _MAX_RESET:
            del self._reset[next(iter(self._reset))]
        self._reset[stream_id] = None
        stream = self._open.get(stream_id)
        if stream is not None:
            self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        del self._open[stream.id]
        self.outflow.forget(stream)
        self._release(stream)
        stream.abandon()
        if not self._open:
            self._quiet()

    def _stray(self, stream_id: int) -> None:
        """DATA on a stream that takes none."""
        self.idle_frame(budget.SMALL_DATA)
        if stream_id in self._reset or stream_id > self.final_id:
            return
        self._expect_begun(stream_id)
        raise BrokenStreamError(stream_id, ErrorCode.STREAM_CLOSED, "DATA after the end of the request")

    def _expect_begun(self, stream_id: int) -> None:
        begun = stream_id <= self.last_id or stream_id > self.final_id
        if not begun or not stream_id & 1:
            raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} has not been opened")
