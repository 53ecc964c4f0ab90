"""Protocol buffers at the level of their fields: enough to find a few of them in a message and to write new ones.

Knows no message type. Reading copies nothing, takes time in proportion to the fields, and trusts no length.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_MAX_VARINT_BYTES = 10


class MalformedError(ValueError):
    """Bytes that are no message."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, its value (None for what is skipped) and where it stands in its message."""

    number: int
    value: memoryview | int | None
    start: int
    end: int

    @property
    def message(self) -> memoryview:
        """The value, which has to be bytes."""
        if not isinstance(self.value, memoryview):
            raise MalformedError("a field has another type than expected")
        return self.value

    @property
    def text(self) -> str:
        """The value, which has to be a string; one that is not UTF-8 is malformed, too."""
        return str(self.message, "utf-8")

    @property
    def integers(self) -> list[int]:
        """The value as signed 64-bit integers: one, or several packed together."""
        if isinstance(self.value, int):
            return [_signed(self.value)]
        packed, position = self.message, 0
        found: list[int] = []
        while position < len(packed):
            number, position = _varint(packed, position)
            found.append(_signed(number))
        return found


def fields(message: memoryview) -> Iterator[Field]:
    """All fields, in their order; MalformedError once the bytes make no sense."""
    position = 0
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        value: memoryview | int | None = None
        match tag & 7:
            case 0:
                value, position = _varint(message, position)
            case 1:
                position += 8
            case 2:
                size, position = _varint(message, position)
                value = message[position : position + size]
                position += size
            case 5:
                position += 4
            case _:
                raise MalformedError("a field of an unknown type")
        if position > len(message):
            raise MalformedError("a field ends after its message")
        yield Field(tag >> 3, value, start, position)


def encoded(number: int, value: bytes | str | int) -> bytes:
    """A field as it stands in a message."""
    if isinstance(value, int):
        return _varint_bytes(number << 3) + _varint_bytes(value)
    content = value.encode() if isinstance(value, str) else value
    return header(number, len(content)) + content


def header(number: int, size: int) -> bytes:
    """What stands before the content of a field of bytes."""
    return _varint_bytes(number << 3 | 2) + _varint_bytes(size)


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(message[position : position + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, position + index + 1
    raise MalformedError("a number has no end")


def _varint_bytes(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _signed(number: int) -> int:
    number &= 2**64 - 1
    return number - 2**64 if number >= 2**63 else number
