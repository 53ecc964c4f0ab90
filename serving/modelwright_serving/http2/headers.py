"""Header blocks: decoded by `hpack`, and remembered where equal bytes mean equal headers.

A connection that turns out to carry many requests is asked to do without the compression's table. Once its peer has
obeyed, a block means the same whenever and wherever it arrives: it is looked up, and so is each field of a new one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from hpack import Decoder, HPACKError, OversizedHeaderListError

from modelwright_serving.http2.frames import BrokenConnectionError, ErrorCode
from modelwright_serving.http2.request import Fields, RequestHead, check
from modelwright_serving.http2.stream import Handler

_MANY = 4  # requests
_MAX_REMEMBERED = 1024
_MAX_BLOCK = 1024
_MAX_FIELD = 256
_FIELD_OVERHEAD = 32  # what a field counts beyond its bytes (RFC 9113, section 6.5.2)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a request's header block says, once it is known who handles the request."""

    handler: Handler
    content_length: int | None


class KnownHeaders:
    """What stateless header blocks mean; bounded, and shared by all connections."""

    def __init__(self, route: Callable[[RequestHead], Handler], size_limit: int) -> None:
        self.size_limit = size_limit
        self.meanings: dict[bytes, Meaning] = {}
        self._route = route
        self._fields: dict[bytes, tuple[bytes, bytes]] = {}
        self._decoder = Decoder(size_limit)
        self._decoder.header_table_size = self._decoder.max_allowed_table_size = 0

    def interpret(self, fields: Fields) -> Meaning:
        """What a request's fields mean; MalformedError if they are no request."""
        head = check(fields)
        return Meaning(self._route(head), head.content_length)

    def learn(self, block: bytes) -> Meaning:
        """Decode a block that uses no dynamic table, and remember it."""
        meaning = self.interpret(self._decode(block))
        if len(block) <= _MAX_BLOCK:
            if len(self.meanings) >= _MAX_REMEMBERED:
                self.meanings.clear()
            self.meanings[block] = meaning
        return meaning

    def _decode(self, block: bytes) -> Fields:
        pieces = split(block)
        if pieces is None:
            return decode(self._decoder, block)
        fields = [self._fields.get(piece) or self._field(piece) for piece in pieces]
        if sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in fields) > self.size_limit:
            raise _too_large(self.size_limit)
        return fields

    def _field(self, piece: bytes) -> tuple[bytes, bytes]:
        field = decode(self._decoder, piece)[0]
        if len(piece) <= _MAX_FIELD:
            if len(self._fields) >= _MAX_REMEMBERED:
                self._fields.clear()
            self._fields[piece] = field
        return field


class HeaderReader:
    """One connection's header blocks, in the order in which they arrive."""

    __slots__ = ("_acknowledged", "_ask", "_decoded", "_decoder", "_known", "_stateless")

    def __init__(self, known: KnownHeaders, ask: Callable[[], None]) -> None:
        self._known = known
        self._ask = ask
        self._decoder = Decoder(known.size_limit)
        self._decoded = 0
        self._acknowledged = 0
        self._stateless = False

    def acknowledged(self) -> None:
        """The peer has taken note of our settings: first of the greeting's, then of a table of size 0."""
        self._acknowledged += 1

    def request(self, block: bytes) -> Meaning:
        """What a block means; MalformedError if it is no request, BrokenConnectionError if the state is lost."""
        if self._stateless:
            meaning = self._known.meanings.get(block)
            return self._known.learn(block) if meaning is None else meaning
        self._decoded += 1
        if self._decoded == _MANY:
            self._ask()
        return self._known.interpret(self.fields(block))

    def fields(self, block: bytes) -> Fields:
        """The fields of any block, read with the connection's own table."""
        decoder = self._decoder
        # Peers that never shrink their table are served, only slower; who changes its size has to obey.
        shrunk = decoder.header_table_size == 0
        if self._acknowledged > 1 and ((block[:1] and block[0] & 0xE0 == 0x20) or shrunk):
            decoder.max_allowed_table_size = 0
        fields = decode(decoder, block)
        self._stateless = decoder.max_allowed_table_size == 0
        return fields


def decode(decoder: Decoder, block: bytes) -> Fields:
    """The fields of a block; BrokenConnectionError if it cannot be decoded."""
    try:
        return cast("Fields", decoder.decode(block, raw=True))
    except OversizedHeaderListError:
        raise _too_large(decoder.max_header_list_size) from None
    except (HPACKError, IndexError):
        # What the decoder says of it may hold an address in this process, which is nobody's business.
        raise BrokenConnectionError(ErrorCode.COMPRESSION_ERROR, "a header block is broken") from None


def _too_large(limit: int) -> BrokenConnectionError:
    return BrokenConnectionError(
        ErrorCode.ENHANCE_YOUR_CALM, f"a request's headers are larger than {limit} bytes"
    )


def split(block: bytes) -> list[bytes] | None:
    """Cut a block into its fields without decoding them; None where only a decoder can tell what it means."""
    pieces: list[bytes] = []
    position, end = 0, len(block)
    while position < end:
        start = position
        first = block[position]
        if first & 0x80:
            position = _after_number(block, position, 0x7F)
        elif first & 0xE0 == 0x20:
            return None
        else:
            mask = 0x3F if first & 0x40 else 0x0F
            position = _after_number(block, position, mask)
            if not first & mask:
                position = _after_string(block, position)
            position = _after_string(block, position)
        if position > end:
            return None
        pieces.append(block[start:position])
    return pieces


def _after_number(block: bytes, position: int, mask: int) -> int:
    """Where an integer ends that is encoded in one byte; beyond the block's end where it takes more."""
    return position + 1 if position < len(block) and block[position] & mask != mask else len(block) + 1


def _after_string(block: bytes, position: int) -> int:
    """Where a string ends; beyond the block's end if it does."""
    if position >= len(block):
        return len(block) + 1
    size = block[position] & 0x7F
    if size != 0x7F:
        return position + 1 + size
    if position + 1 >= len(block) or block[position + 1] & 0x80:
        return len(block) + 1
    return position + 2 + 0x7F + block[position + 1]
