"""What one connection sends: answers, cut to the peer's windows and frame size.

What the peer does not take yet is held and counted in its account; beyond its share an answer is given up.
"""

from collections.abc import Callable
from struct import Struct

from modelwright_serving.host import Host
from modelwright_serving.http2.frames import (
    DATA,
    DEFAULT_WINDOW,
    END_STREAM,
    MAX_FRAME,
    MAX_WINDOW,
    BrokenConnectionError,
    BrokenStreamError,
    ErrorCode,
    HeaderBlock,
)
from modelwright_serving.http2.outbox import Outbox
from modelwright_serving.http2.stream import Stream
from modelwright_serving.memory import Account

_DATA_HEAD = Struct(">BHBB")
_LARGEST_FRAME = 65_536  # of ours, even to peers that take more: others want their turn, too


class Outflow:
    """Calls `done` when the last byte of an answer is on its way, `give_up` when there is no room to hold it."""

    def __init__(
        self,
        outbox: Outbox,
        host: Host,
        account: Account,
        done: Callable[[Stream], None],
        give_up: Callable[[Stream], None],
        last: Callable[[], bool],
    ) -> None:
        self._write = outbox.write
        self._push = outbox.push
        self._last = last
        self._now = host.now
        self._account = account
        self._limit = host.limits.unread
        self._done = done
        self._give_up = give_up
        self._held: dict[int, Stream] = {}
        self._unread = 0  # bytes of what is held that are in the account
        self._window = self._widest = DEFAULT_WINDOW
        self._largest = MAX_FRAME
        self._blocked = False
        self.initial_window = DEFAULT_WINDOW

    def answer(self, stream: Stream, head: HeaderBlock, body: bytes, trailer: HeaderBlock) -> None:
        """Send all of it in one piece if it fits, which is the rule."""
        size = len(body)
        if size > self._window or size > stream.window or size > self._largest or self._blocked:
            self.start(stream, head)
            stream.trailer = trailer
            self.send(stream, body)
            return
        self._window -= size
        number = stream.wire_id
        data_head = _DATA_HEAD.pack(size >> 16, size & 0xFFFF, DATA, 0)
        answer = (
            *(head.more, number, head.block),
            *(data_head, number, body),
            *(trailer.last, number, trailer.block),
        )
        send = self._push if self._last() else self._write
        send(b"".join(answer))
        self._done(stream)

    def refuse(self, stream: Stream, head: HeaderBlock, body: bytes) -> None:
        """Headers and a text, either of which may end the stream."""
        if body:
            self.start(stream, head)
            self.send(stream, body)
            return
        self._write(head.last + stream.wire_id + head.block)
        self._done(stream)

    def start(self, stream: Stream, head: HeaderBlock) -> None:
        self._write(head.more + stream.wire_id + head.block)

    def send(self, stream: Stream, body: bytes) -> None:
        """Part of an answer, or the rest of one that is settled."""
        stream.since, stream.taken = self._now(), stream.sent
        stream.pending = stream.pending + body if stream.pending else body
        self._held[stream.id] = stream
        self._flush(stream)
        if stream.id in self._held:
            self._count(stream, len(body))

    def finish(self, stream: Stream, trailer: HeaderBlock) -> None:
        """The end of an answer in parts."""
        stream.trailer = trailer
        self.send(stream, b"")

    def block(self) -> None:
        """The socket takes no more."""
        self._blocked = True

    def unblock(self) -> None:
        self._blocked = False
        self.flush()

    def flush(self) -> None:
        """Send what has become possible."""
        for stream in list(self._held.values()):
            if self._window <= 0 or self._blocked:
                return
            self._flush(stream)

    def forget(self, stream: Stream) -> None:
        """Drop what is held for a stream."""
        if self._held.pop(stream.id, None) is not None:
            self._release(stream)

    # --- what the peer allows ----------------------------------------------------------------

    def widen(self, size: int) -> bool:
        """The peer takes more on the connection; False if that is more than it ever took."""
        if self._window + size > MAX_WINDOW:
            raise BrokenConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is too large")
        waited_for = self._window <= 0
        self._window += size
        known = self._window <= self._widest
        self._widest = max(self._widest, self._window)
        if waited_for:
            self.flush()
        return known

    def widen_stream(self, stream: Stream, size: int) -> bool:
        """The peer takes more on a stream; False if that is more than it takes on a new one."""
        if stream.window + size > MAX_WINDOW:
            raise BrokenStreamError(
                stream.id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window is too large"
            )
        stream.window += size
        known = stream.window <= self.initial_window
        if stream.id in self._held:
            self._flush(stream)
        return known

    def set_initial_window(self, size: int, streams: list[Stream]) -> None:
        """The peer takes more, or less, on all streams; to be followed by `flush` once that is acknowledged."""
        if size > MAX_WINDOW:
            raise BrokenConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "the initial window is too large")
        change = size - self.initial_window
        self.initial_window = size
        for stream in streams:
            if stream.window + change > MAX_WINDOW:
                raise BrokenConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window is too large")
            stream.window += change

    def set_largest_frame(self, size: int) -> None:
        if not MAX_FRAME <= size < 2**24:
            raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "the maximum frame size is out of range")
        self._largest = min(size, _LARGEST_FRAME)

    # --- what does not fit yet ---------------------------------------------------------------

    def _count(self, stream: Stream, size: int) -> None:
        """Hold what the peer does not take yet, if it has room for that."""
        crowded = self._unread > 0 and self._unread + size > self._limit
        if crowded or not self._account.take(size):
            self._give_up(stream)
            return
        self._unread += size
        stream.counted += size

    def _release(self, stream: Stream) -> None:
        self._account.give(stream.counted)
        self._unread -= stream.counted
        stream.pending, stream.sent, stream.taken, stream.counted = b"", 0, 0, 0

    def _flush(self, stream: Stream) -> None:
        """Send what the windows and the socket allow."""
        pending = memoryview(stream.pending)
        while (left := len(pending) - stream.sent) > 0:
            size = min(left, self._window, stream.window, self._largest)
            if size <= 0 or self._blocked:
                return
            self._window -= size
            stream.window -= size
            last = size == left and stream.settled and stream.trailer is None
            head = _DATA_HEAD.pack(size >> 16, size & 0xFFFF, DATA, END_STREAM if last else 0)
            self._push(b"".join((head, stream.wire_id, pending[stream.sent : stream.sent + size])))
            stream.sent += size
        self._flushed(stream)

    def _flushed(self, stream: Stream) -> None:
        del self._held[stream.id]
        self._release(stream)
        if not stream.settled:
            return
        if stream.trailer is not None:
            self._write(stream.trailer.last + stream.wire_id + stream.trailer.block)
        self._done(stream)
