"""HTTP/2 frames as the text of RFC 9113 has them: read from bytes, written as bytes, changed at random."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from fuzz.mutations import mutated

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5
_HEAD = struct.Struct(">BHBBL")
_STREAMS = (0, 1, 1, 2, 3, 5, 7, 99, 2**31 - 1)


@dataclass(frozen=True)
class Frame:
    """One frame; `stream` without the reserved bit."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def wire(self) -> bytes:
        size = len(self.payload)
        return _HEAD.pack(size >> 16, size & 0xFFFF, self.kind, self.flags, self.stream) + self.payload

    @property
    def number(self) -> int:
        """What WINDOW_UPDATE and RST_STREAM say."""
        return int.from_bytes(self.payload[:4], "big") & 0x7FFF_FFFF

    def unpadded(self) -> bytes | None:
        """The payload without padding and priority; None if that is all there is."""
        payload = self.payload
        if self.flags & PADDED:
            if not payload or payload[0] >= len(payload):
                return None
            payload = payload[1 : len(payload) - payload[0]]
        if self.kind == HEADERS and self.flags & HAS_PRIORITY:
            return payload[5:] if len(payload) >= 5 else None
        return payload


def parse(wire: bytes) -> tuple[list[Frame], bytes]:
    """All whole frames, and what follows them."""
    frames, at = list[Frame](), 0
    while len(wire) - at >= _HEAD.size:
        high, low, kind, flags, stream = _HEAD.unpack_from(wire, at)
        start, stop = at + _HEAD.size, at + _HEAD.size + (high << 16 | low)
        if stop > len(wire):
            break
        frames.append(Frame(kind, flags, stream & 0x7FFF_FFFF, wire[start:stop]))
        at = stop
    return frames, wire[at:]


def settings(*values: tuple[int, int]) -> Frame:
    return Frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", *value) for value in values))


def widened(stream: int, size: int) -> Frame:
    return Frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", size))


EXTRAS = (
    *(settings(), settings((1, 0)), settings((1, 4096)), settings((2, 1)), settings((2, 2)), settings((3, 0))),
    *(settings((INITIAL_WINDOW_SIZE, size)) for size in (0, 1, 20, 65_535, 2**31 - 1, 2**31)),
    *(settings((MAX_FRAME_SIZE, size)) for size in (16_383, 16_384, 70_000, 2**24)),
    *(Frame(SETTINGS, ACK, 0, b""), Frame(SETTINGS, ACK, 0, b"x"), Frame(SETTINGS, 0, 0, b"abc")),
    *(Frame(PING, 0, 0, b"12345678"), Frame(PING, ACK, 0, b"retiring"), Frame(PING, 0, 0, b"1")),
    *(widened(stream, size) for stream in (0, 1, 3) for size in (0, 1, 100, 2**31 - 1)),
    *(Frame(RST_STREAM, 0, stream, b"\0\0\0\x08") for stream in (0, 1, 3, 5)),
    *(Frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"), Frame(PRIORITY, 0, 3, b"\0\0\0\x03\x10"), Frame(PRIORITY, 0, 1, b"")),
    *(Frame(GOAWAY, 0, 0, b"\0" * 8), Frame(GOAWAY, 0, 0, b""), Frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2\x82")),
    *(Frame(CONTINUATION, flags, 1, payload) for flags in (0, END_HEADERS) for payload in (b"", b"\x82")),
    *(Frame(DATA, flags, stream, b"") for flags in (0, END_STREAM) for stream in (0, 1, 3)),
    *(Frame(77, 255, 1, b"what"), Frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x84\x86")),
)  # fmt: skip


def changed(chance: random.Random, frames: list[Frame]) -> list[Frame]:
    """The frames after a few changes to some of them."""
    frames = list(frames)
    for _ in range(1 + int(chance.expovariate(0.8))):
        at = chance.randint(0, len(frames))
        if at == len(frames) or chance.random() < 0.3:
            frames[at:at] = [chance.choice(EXTRAS)]
        else:
            frames[at : at + 1] = chance.choice(_CHANGES)(chance, frames[at])
    return frames


def _nothing(_: random.Random, frame: Frame) -> list[Frame]:
    return []


def _twice(_: random.Random, frame: Frame) -> list[Frame]:
    return [frame, frame]


def _elsewhere(chance: random.Random, frame: Frame) -> list[Frame]:
    return [replace(frame, stream=chance.choice((*_STREAMS, frame.stream + 2)))]


def _flagged(chance: random.Random, frame: Frame) -> list[Frame]:
    return [replace(frame, flags=frame.flags ^ (1 << chance.choice((0, 0, 2, 3, 5, 6))))]


def _renamed(chance: random.Random, frame: Frame) -> list[Frame]:
    return [replace(frame, kind=chance.randrange(11))]


def _bent(chance: random.Random, frame: Frame) -> list[Frame]:
    return [
        replace(frame, payload=mutated(chance, frame.payload, b"", (b"\0", b"\x82", b"\xff\xff\xff\x7f")))
    ]


def _padded(chance: random.Random, frame: Frame) -> list[Frame]:
    size = chance.choice((0, 1, 3, 255))
    payload = bytes([size]) + frame.payload + bytes(size - chance.choice((0, 0, 1)) if size else 0)
    return [replace(frame, flags=frame.flags | PADDED, payload=payload)]


def _cut(chance: random.Random, frame: Frame) -> list[Frame]:
    """In two frames: of a body, or of a header block."""
    at = chance.randint(0, len(frame.payload))
    last = END_STREAM if frame.kind == DATA else END_HEADERS
    kind = DATA if frame.kind == DATA else CONTINUATION
    first = replace(frame, flags=frame.flags & ~last, payload=frame.payload[:at])
    return [first, Frame(kind, frame.flags & last, frame.stream, frame.payload[at:])]


_CHANGES: tuple[Callable[[random.Random, Frame], list[Frame]], ...] = (
    *(_nothing, _twice, _elsewhere, _flagged, _renamed, _bent, _bent, _padded, _cut, _cut),
)
