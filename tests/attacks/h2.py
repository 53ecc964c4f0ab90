"""HTTP/2 as bytes, for a caller that breaks its rules; shares nothing with the server's own code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct

from hpack import Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK, PADDED = 0x1, 0x4, 0x1, 0x8
HEAD = Struct(">BHBBL")
ANSWERED = b"\x88"
INFER = "/inference.GRPCInferenceService/ModelInfer"
WATCH = "/grpc.health.v1.Health/Watch"
Fields = Sequence[tuple[str, str]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Any frame, allowed or not."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    """SETTINGS by name: `table`, `streams`, `window`, `largest`."""
    numbers = {"table": 1, "streams": 3, "window": 4, "largest": 5}
    items = b"".join(
        numbers[name].to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in values.items()
    )
    return frame(SETTINGS, 0, 0, items)


def widen(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def reset(stream: int, code: int = 8) -> bytes:
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def grpc_fields(path: str = INFER, *more: tuple[str, str]) -> Fields:
    """The headers of a gRPC call."""
    return (
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "attack"),
        ("content-type", "application/grpc"), ("te", "trailers"), *more,
    )  # fmt: skip


def blocks(fields: Fields) -> tuple[bytes, bytes]:
    """A header block for a connection's first request, which fills the table, and the one for all later."""
    encoder = Encoder()
    return encoder.encode(fields), encoder.encode(fields)


def message(body: bytes, *, compressed: bool = False) -> bytes:
    """A gRPC message with its five bytes in front."""
    return bytes((compressed,)) + len(body).to_bytes(4, "big") + body


def body_frames(stream: int, body: bytes, *, end: bool = True) -> bytes:
    """A body in as many DATA frames as it takes."""
    parts = [body[start : start + 16_384] for start in range(0, len(body), 16_384)] or [b""]
    flags = [0] * (len(parts) - 1) + [END_STREAM if end else 0]
    return b"".join(frame(DATA, flag, stream, part) for flag, part in zip(flags, parts, strict=True))


def streams(first: int = 1) -> Iterator[int]:
    """The numbers of a caller's streams."""
    return iter(range(first, 2**31, 2))
