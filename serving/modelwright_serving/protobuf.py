"""The wire format of Protocol Buffers: fields from bytes and to bytes. Which fields there are is left to `messages`."""

import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

VARINT = 0
FIXED64 = 1
LENGTH = 2
FIXED32 = 5
_START_GROUP = 3
_END_GROUP = 4
_MAX_DEPTH = 100
_PORTION = 65_536  # of packed numbers, decoded at once: bounds the memory that it takes


class WireError(Exception):
    """Bytes that are no message."""


class Field(NamedTuple):
    """One field as it stands on the wire: its `value` is a number for varints and fixed sizes, else `start`-`stop`."""

    number: int
    kind: int
    value: int
    start: int
    stop: int


class FieldLimit:
    """Counts the fields of a message and of its parts; `beyond` is raised after so many."""

    __slots__ = ("_beyond", "_left")

    def __init__(self, most: int, beyond: Exception) -> None:
        self._left = most
        self._beyond = beyond

    def count(self) -> None:
        """One field more."""
        self._left -= 1
        if self._left < 0:
            raise self._beyond


_NO_LIMIT = FieldLimit(sys.maxsize, WireError("a message has too many fields"))


def read(data: bytes, start: int, stop: int, limit: FieldLimit = _NO_LIMIT) -> Iterator[Field]:
    """Every field of a message in its order; WireError where the bytes are none."""
    position = start
    while position < stop:
        limit.count()
        begin = position
        tag, position = varint(data, position, stop)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 2**29:
            raise WireError("a field has no valid number")
        if kind == LENGTH:
            size, position = varint(data, position, stop)
            if size > stop - position:
                raise WireError("a field is longer than its message")
            yield Field(number, kind, begin, position, position + size)
            position += size
        elif kind == VARINT:
            value, position = varint(data, position, stop)
            yield Field(number, kind, value, begin, position)
        else:
            begin, position = position, _skip(data, position, stop, number, kind, limit)
            yield Field(number, kind, 0, begin, position)


def varint(data: bytes, position: int, stop: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while position < stop and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise WireError("a number does not end")


def _skip(
    data: bytes, position: int, stop: int, number: int, kind: int, limit: FieldLimit, depth: int = 0
) -> int:
    """Where a field of fixed size or a group ends."""
    if kind in {FIXED64, FIXED32}:
        position += 8 if kind == FIXED64 else 4
        if position > stop:
            raise WireError("a field is longer than its message")
        return position
    if kind != _START_GROUP or depth == _MAX_DEPTH:
        raise WireError("a field has no valid type")
    while True:
        limit.count()
        tag, position = varint(data, position, stop)
        if tag & 7 == _END_GROUP:
            if tag >> 3 != number:
                raise WireError("a group ends that has not begun")
            return position
        if tag & 7 == VARINT:
            _, position = varint(data, position, stop)
        elif tag & 7 == LENGTH:
            size, position = varint(data, position, stop)
            position += size
            if position > stop:
                raise WireError("a field is longer than its message")
        else:
            position = _skip(data, position, stop, tag >> 3, tag & 7, limit, depth + 1)


def text(data: bytes, field: Field) -> str:
    """A field of type string."""
    try:
        return str(data[field.start : field.stop], "utf-8")
    except UnicodeDecodeError:
        raise WireError("a string is not UTF-8") from None


def varints(data: bytes, start: int, stop: int) -> npt.NDArray[np.uint64]:
    """All numbers of a packed field."""
    return np.concatenate([np.empty(0, np.uint64), *portions(data, start, stop)])


def portions(data: bytes, start: int, stop: int) -> Iterator[npt.NDArray[np.uint64]]:
    """The numbers of a packed field, so many at a time that they take little memory."""
    raw = np.frombuffer(data, np.uint8, stop - start, start)
    if len(raw) and raw[-1] >= 0x80:
        raise WireError("a number does not end")
    while len(raw):
        ends = np.flatnonzero(raw[:_PORTION] < 0x80)
        if not len(ends):
            raise WireError("a number does not end")
        yield _varints(raw[: ends[-1] + 1], ends)
        raw = raw[ends[-1] + 1 :]


def count_varints(data: bytes, start: int, stop: int) -> int:
    """How many numbers a packed field has."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8, stop - start, start) < 0x80))


def _varints(raw: npt.NDArray[np.uint8], ends: npt.NDArray[np.intp]) -> npt.NDArray[np.uint64]:
    """Numbers that end at the given positions, all at once."""
    if len(ends) == len(raw):
        return raw.astype(np.uint64)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise WireError("a number does not end")
    shifts = (np.arange(len(raw)) - np.repeat(starts, lengths)).astype(np.uint64) * np.uint64(7)
    found: npt.NDArray[np.uint64] = np.add.reduceat((raw & 0x7F).astype(np.uint64) << shifts, starts)
    return found


def number(value: int) -> bytes:
    """A varint; negative numbers as int64 has them."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    if value < 0x80:
        return bytes((value,))
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def prefix(field: int, size: int) -> bytes:
    """What precedes the bytes of a field of type string, bytes or message."""
    return number(field << 3 | LENGTH) + number(size)


def blob(field: int, content: bytes) -> bytes:
    """A field of type string, bytes or message."""
    return prefix(field, len(content)) + content


def string(field: int, content: str) -> bytes:
    """A string, which is left out when it is empty."""
    return blob(field, content.encode()) if content else b""


def integer(field: int, value: int) -> bytes:
    """An integer of any type or an enum, which is left out when it is 0."""
    return number(field << 3) + number(value) if value else b""


def truth(field: int, *, value: bool) -> bytes:
    """A bool, which is left out when it is false."""
    return number(field << 3) + b"\1" if value else b""


def numbers(field: int, values: tuple[int, ...]) -> bytes:
    """A packed repeated int64."""
    return blob(field, b"".join(map(number, values))) if values else b""
