"""Frames as bytes: their numbers, the frames that a server sends, and the errors that end a stream or a connection.

Which frame is allowed when is left to the connection.
"""

from enum import IntEnum
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME = 16_384  # what is accepted: the smallest maximum that may be announced
MAX_WINDOW = 2**31 - 1
MAX_STREAM_ID = 2**31 - 1
DEFAULT_WINDOW = 65_535

HEAD_SIZE = 9
HEAD = Struct(">BHBBL")  # length in two parts, type, flags, stream
NUMBER = Struct(">L")
SETTING = Struct(">HL")

DATA = 0
HEADERS = 1
PRIORITY = 2
RST_STREAM = 3
SETTINGS = 4
PUSH_PROMISE = 5
PING = 6
GOAWAY = 7
WINDOW_UPDATE = 8
CONTINUATION = 9

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

HEADER_TABLE_SIZE = 1
ENABLE_PUSH = 2
MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5
MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Why a stream or a connection ends (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class BrokenConnectionError(Exception):
    """The peer broke the protocol in a way that ends its connection."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BrokenStreamError(Exception):
    """The peer broke the protocol in a way that ends one stream."""

    def __init__(self, stream_id: int, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.stream_id = stream_id
        self.code = code


class HeaderBlock:
    """An encoded header block of an answer, ready to be sent on any stream; small enough for one frame."""

    __slots__ = ("block", "last", "more")

    def __init__(self, block: bytes) -> None:
        self.block = block
        start = len(block).to_bytes(3, "big")
        self.more = start + bytes((HEADERS, END_HEADERS))
        self.last = start + bytes((HEADERS, END_HEADERS | END_STREAM))


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Any frame."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream_id) + payload


def settings(values: dict[int, int]) -> bytes:
    """What we ask of the peer, by the settings' numbers."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*item) for item in values.items()))


def settings_ack() -> bytes:
    """The peer's settings are in force."""
    return frame(SETTINGS, ACK, 0)


def ping(payload: bytes, *, ack: bool) -> bytes:
    """A question whether the peer is there, or the answer."""
    return frame(PING, ACK if ack else 0, 0, payload)


def rst_stream(stream_id: int, code: ErrorCode) -> bytes:
    """The end of a stream before its time."""
    return frame(RST_STREAM, 0, stream_id, NUMBER.pack(code))


def goaway(last_stream_id: int, code: ErrorCode, message: str = "") -> bytes:
    """The end of a connection, after the last stream that is answered."""
    return frame(GOAWAY, 0, 0, NUMBER.pack(last_stream_id) + NUMBER.pack(code) + message.encode()[:200])


def window_update(stream_id: int, size: int) -> bytes:
    """The peer may send more, on a stream or (0) on the connection."""
    return frame(WINDOW_UPDATE, 0, stream_id, NUMBER.pack(size))


def unpadded(stream_payload: bytes, flags: int) -> bytes:
    """The payload of DATA or HEADERS without its padding; BrokenConnectionError if that is all there is."""
    if not flags & PADDED:
        return stream_payload
    if not stream_payload or stream_payload[0] >= len(stream_payload):
        raise BrokenConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame's padding is longer than the frame")
    return stream_payload[1 : len(stream_payload) - stream_payload[0]]
