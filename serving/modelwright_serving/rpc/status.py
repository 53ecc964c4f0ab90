"""gRPC's statuses, and the header blocks that say them."""

from enum import IntEnum

from modelwright_serving.http2.frames import HeaderBlock
from modelwright_serving.oip.errors import OipError, Problem

_MAX_MESSAGE = 500  # characters: at most 6 kB, and clients take headers of 8 kB
_PLAIN = frozenset(range(0x20, 0x7F)) - {ord("%")}


class Code(IntEnum):
    """The codes in use here; the names are what metrics and clients know them by."""

    OK = 0
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


# The caller's own fault.
REFUSALS = frozenset((Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED, Code.UNIMPLEMENTED))
# The server's.
FAILURES = frozenset((Code.INTERNAL, Code.UNAVAILABLE))


class RpcError(Exception):
    """A call that gets no result."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_CODES = {
    Problem.INVALID: Code.INVALID_ARGUMENT,
    Problem.NOT_FOUND: Code.NOT_FOUND,
    Problem.TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    Problem.INTERNAL: Code.INTERNAL,
    Problem.UNAVAILABLE: Code.UNAVAILABLE,
    Problem.TIMEOUT: Code.DEADLINE_EXCEEDED,
}


def from_oip(error: OipError) -> RpcError:
    """The same error in gRPC's terms."""
    return RpcError(_CODES[error.problem], error.message)


def fields(*pairs: tuple[bytes, bytes]) -> HeaderBlock:
    """A header block of literals only, which means the same to every peer at any time."""
    return HeaderBlock(b"".join(b"\0" + _string(name) + _string(value) for name, value in pairs))


def response(*more: tuple[bytes, bytes]) -> HeaderBlock:
    """The headers that begin every answer with messages."""
    return fields(
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        (b"grpc-accept-encoding", b"identity,deflate,gzip"),
        *more,
    )


def failure(error: RpcError, *more: tuple[bytes, bytes]) -> HeaderBlock:
    """The whole answer to a call without a result: headers that end the stream."""
    return fields(
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        *status(error.code, error.message),
        *more,
    )


def status(code: Code, message: str = "") -> tuple[tuple[bytes, bytes], ...]:
    """The fields that end a call."""
    number = (b"grpc-status", b"%d" % code)
    return (number, (b"grpc-message", _percent(message))) if message else (number,)


def _percent(message: str) -> bytes:
    """Percent-encoded UTF-8, cut to what a client's header limit surely takes."""
    raw = message[:_MAX_MESSAGE].encode()
    return b"".join(raw[i : i + 1] if byte in _PLAIN else b"%%%02X" % byte for i, byte in enumerate(raw))


def _string(text: bytes) -> bytes:
    """A string of HPACK, without Huffman coding."""
    size = len(text)
    if size < 0x7F:
        return bytes((size,)) + text
    size -= 0x7F
    prefix = bytearray(b"\x7f")
    while size >= 0x80:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + text


OK_TRAILER = fields(*status(Code.OK))
