"""Bytes to frames: the preface, the bounds of frames, padding, and header blocks put together from their pieces.

What a frame means for its stream is left to the connection.
"""

from typing import Protocol

from modelwright_serving.http2.budget import FRAME
from modelwright_serving.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEAD,
    HEAD_SIZE,
    HEADERS,
    MAX_FRAME,
    MAX_STREAM_ID,
    NUMBER,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    BrokenConnectionError,
    BrokenStreamError,
    ErrorCode,
    unpadded,
)
from modelwright_serving.limits import Limits


class StreamListener(Protocol):
    """The streams, as the reader sees them."""

    def headers(self, stream_id: int, block: bytes, *, end: bool) -> None: ...

    def data(self, stream_id: int, payload: bytes, size: int, *, end: bool) -> None: ...

    def reset(self, stream_id: int) -> None: ...

    def widen(self, stream_id: int, size: int) -> None: ...

    def idle_frame(self, price: float) -> None:
        """A frame came that carries no work."""
        ...

    def stream_failed(self, fault: BrokenStreamError) -> None: ...


class ConnectionListener(Protocol):
    """The connection, as the reader sees it."""

    def settings(self, payload: bytes, *, ack: bool) -> None: ...

    def ping(self, payload: bytes, *, ack: bool) -> None: ...


class FrameReader:
    """Reads one connection until `stopped` is set."""

    def __init__(self, streams: StreamListener, connection: ConnectionListener, limits: Limits) -> None:
        self._streams = streams
        self._connection = connection
        self._block_limit = limits.head
        self._portion = limits.frames
        self._rest = b""
        self.greeted = False
        self._settled = False
        self._block = b""
        self._block_stream = 0
        self._block_end = False
        self.stopped = False
        self.advanced = False  # whether the last bytes have ended anything
        self.more = False  # whether whole frames may be left
        self._frames = {
            DATA: self._data,
            HEADERS: self._headers,
            PRIORITY: self._priority,
            RST_STREAM: self._rst_stream,
            SETTINGS: self._settings,
            PUSH_PROMISE: self._push_promise,
            PING: self._ping,
            GOAWAY: self._goaway,
            WINDOW_UPDATE: self._window_update,
            CONTINUATION: self._continuation,
        }

    @property
    def unfinished(self) -> bool:
        """Whether something has begun that only more bytes can end."""
        return bool(self._rest) or not self._settled or self._block_stream != 0

    def add(self, data: bytes) -> None:
        """Keep what has come."""
        self._rest += data

    def feed(self, data: bytes) -> None:
        """Read a portion of what has come; BrokenConnectionError if the peer breaks the protocol."""
        if self._rest:
            data = self._rest + data
        position, end = 0, len(data)
        if not self.greeted:
            if not self._greet(data):
                self._rest = data
                self.more = False
                return
            position = len(PREFACE)
        left = self._portion
        while end - position >= HEAD_SIZE and left and not self.stopped:
            high, low, kind, flags, stream_id = HEAD.unpack_from(data, position)
            start = position + HEAD_SIZE
            stop = start + (high << 16 | low)
            if stop - start > MAX_FRAME:
                raise BrokenConnectionError(
                    ErrorCode.FRAME_SIZE_ERROR, f"a frame is larger than {MAX_FRAME} bytes"
                )
            if stop > end:
                break
            position = stop
            left -= 1
            try:
                self._frame(kind, flags, stream_id & MAX_STREAM_ID, data[start:stop])
            except BrokenStreamError as fault:
                self._streams.stream_failed(fault)
        self._rest = data[position:]
        self.more = not left and not self.stopped
        self.advanced = position > 0 and not self._block_stream

    def _greet(self, data: bytes) -> bool:
        """Whether the preface is there in full."""
        if data[: len(PREFACE)] != PREFACE[: len(data)]:
            raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "the connection does not begin as HTTP/2")
        self.greeted = len(data) >= len(PREFACE)
        return self.greeted

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block_stream and (kind != CONTINUATION or stream_id != self._block_stream):
            raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted")
        if not self._settled:
            if kind != SETTINGS:
                raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._settled = True
        known = self._frames.get(kind)
        if known is None:
            self._streams.idle_frame(FRAME)
        else:
            known(flags, stream_id, payload)

    # --- frames of a stream ------------------------------------------------------------------

    def _data(self, flags: int, stream_id: int, payload: bytes) -> None:
        _need_stream(stream_id)
        self._streams.data(stream_id, unpadded(payload, flags), len(payload), end=flags & END_STREAM != 0)

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        _need_stream(stream_id)
        block = unpadded(payload, flags)
        if flags & HAS_PRIORITY:
            if len(block) < 5:
                raise BrokenConnectionError(
                    ErrorCode.FRAME_SIZE_ERROR, "HEADERS is too short for its priority"
                )
            _check_dependency(stream_id, block)
            block = block[5:]
        if flags & END_HEADERS:
            self._streams.headers(stream_id, block, end=flags & END_STREAM != 0)
            return
        self._block, self._block_stream, self._block_end = block, stream_id, flags & END_STREAM != 0

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block_stream:
            raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION continues nothing")
        self._streams.idle_frame(FRAME)
        self._block += payload
        if len(self._block) > self._block_limit:
            raise BrokenConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too large")
        if flags & END_HEADERS:
            block, self._block, self._block_stream = self._block, b"", 0
            self._streams.headers(stream_id, block, end=self._block_end)

    def _priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        _need_stream(stream_id)
        if len(payload) != 5:
            raise BrokenStreamError(stream_id, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY has to have 5 bytes")
        _check_dependency(stream_id, payload)
        self._streams.idle_frame(FRAME)

    def _rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        _need_stream(stream_id)
        _need_size(payload, 4)
        self._streams.reset(stream_id)

    def _push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "clients must not push")

    def _window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        _need_size(payload, 4)
        size = NUMBER.unpack(payload)[0] & MAX_STREAM_ID
        if size == 0:
            if stream_id:
                raise BrokenStreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a window grows by nothing")
            raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "the connection's window grows by nothing")
        self._streams.widen(stream_id, size)

    # --- frames of the connection ------------------------------------------------------------

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        _need_no_stream(stream_id)
        ack = flags & ACK != 0
        if len(payload) % 6 or (ack and payload):
            raise BrokenConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS has a wrong size")
        self._connection.settings(payload, ack=ack)

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        _need_no_stream(stream_id)
        _need_size(payload, 8)
        self._connection.ping(payload, ack=flags & ACK != 0)

    def _goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        """The peer opens no more streams, which needs no answer: it closes the connection in its time."""
        _need_no_stream(stream_id)
        if len(payload) < 8:
            raise BrokenConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is too short")
        self._streams.idle_frame(FRAME)


def _need_stream(stream_id: int) -> None:
    if stream_id == 0:
        raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame of a stream has none")


def _need_no_stream(stream_id: int) -> None:
    if stream_id:
        raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame of the connection has a stream")


def _need_size(payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise BrokenConnectionError(ErrorCode.FRAME_SIZE_ERROR, f"a frame has to have {size} bytes")


def _check_dependency(stream_id: int, payload: bytes) -> None:
    if NUMBER.unpack_from(payload)[0] & MAX_STREAM_ID == stream_id:
        raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")
