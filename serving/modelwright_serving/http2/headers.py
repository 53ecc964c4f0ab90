"""The header blocks of one connection: decoded by `hpack`, and remembered while equal bytes mean equal headers.

A block that leaves the compression's table as it is means the same until the table changes. Callers send such blocks
again and again, so what they mean is looked up. What fields mean together is left to `request`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from hpack import Decoder, HPACKError, OversizedHeaderListError

from modelwright_serving.http2.frames import BrokenConnectionError, ErrorCode
from modelwright_serving.http2.request import Fields, RequestHead, check
from modelwright_serving.http2.stream import Handler

Route = Callable[[RequestHead], Handler]

# Changes of the table's size before a block's first field; two are all that a peer can need (RFC 7541, section 4.2).
_RESIZED_TOO_OFTEN = re.compile(rb"([\x20-\x3e]|\x3f[\x80-\xff]*[\x00-\x7f]){3}")

# What one connection remembers, and the largest block (in bytes, in fields) that is remembered.
_MAX_BLOCKS = 8
_MAX_BLOCK = 1024
USUAL_FIELDS = 32


@dataclass(frozen=True, slots=True)
class RoutedHead:
    """A request's header block once it is known who handles the request."""

    handler: Handler
    content_length: int | None


class HeaderReader:
    """Reads the header blocks of one connection, in the order in which they arrive."""

    __slots__ = ("_decoder", "_remembered", "_route", "_steady", "_table")

    def __init__(self, route: Route, size_limit: int) -> None:
        self._route = route
        self._decoder = Decoder(size_limit)
        self._table = self._decoder.header_table.dynamic_entries
        self._steady = False  # whether the last block left the table as it was
        self._remembered: dict[bytes, RoutedHead] = {}

    def known(self, block: bytes) -> RoutedHead | None:
        """What a block means that has been read before."""
        return self._remembered.get(block)

    def fields(self, block: bytes) -> Fields:
        """The fields of a block; BrokenConnectionError if it cannot be decoded, since the table is lost then."""
        table = self._table
        size, newest = len(table), table[0] if table else None
        fields = _decode(self._decoder, block)
        self._steady = len(table) == size and (not size or table[0] is newest)
        if not self._steady:
            self._remembered.clear()
        return fields

    def request(self, block: bytes, fields: Fields) -> RoutedHead:
        """What the fields of the last block mean; MalformedError if they are no request."""
        head = check(fields)
        routed = RoutedHead(self._route(head), head.content_length)
        if self._steady and len(block) <= _MAX_BLOCK and len(fields) <= USUAL_FIELDS:
            if len(self._remembered) >= _MAX_BLOCKS:
                self._remembered.clear()
            self._remembered[block] = routed
        return routed


def _decode(decoder: Decoder, block: bytes) -> Fields:
    if _RESIZED_TOO_OFTEN.match(block):
        raise BrokenConnectionError(ErrorCode.COMPRESSION_ERROR, "a header block resizes the table too often")
    try:
        return cast("Fields", decoder.decode(block, raw=True))
    except OversizedHeaderListError:
        limit = decoder.max_header_list_size
        raise BrokenConnectionError(
            ErrorCode.ENHANCE_YOUR_CALM, f"a request's headers are larger than {limit} bytes"
        ) from None
    except (HPACKError, IndexError):
        # The decoder's own message may hold an address in this process.
        raise BrokenConnectionError(ErrorCode.COMPRESSION_ERROR, "a header block is broken") from None
