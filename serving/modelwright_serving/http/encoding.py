"""Compressed request bodies to plain ones, bounded in size. Which bodies are compressed is left to the reader."""

import zlib

IDENTITY = b"identity"
# 31: a gzip member; 47: gzip or zlib, which is what HTTP calls deflate.
ENCODINGS = {IDENTITY: 0, b"gzip": 31, b"x-gzip": 31, b"deflate": 47}


class TooLargeError(Exception):
    """The plain body would be larger than the limit."""


class BrokenError(Exception):
    """The bytes are not what their Content-Encoding says."""


def decompress(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The plain body; TooLargeError or BrokenError if there is none."""
    parts: list[bytes] = []
    rest, left = body, limit
    while rest:  # a gzip body may be several members
        part, rest = _member(rest, ENCODINGS[encoding], left)
        parts.append(part)
        left -= len(part)
    if not parts:
        raise BrokenError("the body is empty")
    return b"".join(parts)


def _member(body: bytes, window: int, limit: int) -> tuple[bytes, bytes]:
    stream = zlib.decompressobj(window)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise BrokenError(str(error)) from None
    if len(plain) > limit:
        raise TooLargeError
    if not stream.eof:
        raise BrokenError("the compressed data ends too early")
    return plain, stream.unused_data
