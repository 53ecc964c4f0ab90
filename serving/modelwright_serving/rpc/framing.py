"""The message in the body of a unary call: its length prefix, its compression, its bounds."""

import zlib
from struct import Struct

from modelwright_serving.rpc.status import Code, RpcError

HEAD = Struct(">BL")
HEAD_SIZE = HEAD.size
IDENTITY = b"identity"
# What zlib has to expect, by the name of the encoding.
WINDOW_BITS = {b"gzip": 31, b"deflate": 15}


def message(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The only message of a body; RpcError if it holds none, several, or one that is too large."""
    if len(body) < HEAD_SIZE:
        raise RpcError(Code.INVALID_ARGUMENT, "the call holds no message")
    compressed, size = HEAD.unpack_from(body)
    if size > limit:
        raise too_large(limit)
    if size != len(body) - HEAD_SIZE:
        raise RpcError(
            Code.INVALID_ARGUMENT,
            f"the message is said to have {size} bytes, but {len(body) - HEAD_SIZE} came: "
            "this call takes exactly one message",
        )
    if not compressed:
        return body[HEAD_SIZE:]
    if compressed != 1 or encoding not in WINDOW_BITS:
        raise RpcError(Code.INVALID_ARGUMENT, "the message is compressed, but grpc-encoding does not say how")
    return _decompressed(body, encoding, limit)


def too_large(limit: int) -> RpcError:
    """The one answer to every message beyond the limit, however that is noticed."""
    return RpcError(Code.RESOURCE_EXHAUSTED, f"the message is larger than {limit} bytes")


def framed(content: bytes) -> bytes:
    """A message with its length before it."""
    return HEAD.pack(0, len(content)) + content


def _decompressed(body: bytes, encoding: bytes, limit: int) -> bytes:
    decompressor = zlib.decompressobj(WINDOW_BITS[encoding])
    try:
        content = decompressor.decompress(memoryview(body)[HEAD_SIZE:], limit + 1)
    except zlib.error as error:
        raise RpcError(
            Code.INVALID_ARGUMENT, f"the message is no valid {encoding.decode()}: {error}"
        ) from None
    if len(content) > limit:
        raise too_large(limit)
    if not decompressor.eof or decompressor.unused_data:
        raise RpcError(Code.INVALID_ARGUMENT, f"the message is no complete {encoding.decode()}")
    return content
