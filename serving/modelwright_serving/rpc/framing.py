"""The message in the body of a unary call: its length prefix, its compression, its bounds."""

import zlib
from struct import Struct

from modelwright_serving.limits import AT_ONCE, LARGE, Limits
from modelwright_serving.oip.errors import CostlyError
from modelwright_serving.rpc.status import Code, RpcError

HEAD = Struct(">BL")
HEAD_SIZE = HEAD.size
IDENTITY = b"identity"
# What zlib has to expect, by the name of the encoding.
WINDOW_BITS = {b"gzip": 31, b"deflate": 15}


def message(body: bytes, encoding: bytes, limit: int, *, at_once: bool = False) -> bytes:
    """The only message of a body; RpcError if it holds none, several, or one of more than `limit` bytes.

    CostlyError if it has to be taken out `at_once` and that takes longer than the event loop can spare.
    """
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
    if at_once and size > LARGE:
        raise CostlyError
    if not compressed:
        return body[HEAD_SIZE:]
    if compressed != 1 or encoding not in WINDOW_BITS:
        raise RpcError(Code.INVALID_ARGUMENT, "the message is compressed, but grpc-encoding does not say how")
    return _unpacked(body, encoding, limit, at_once=at_once)


def too_large(limit: int) -> RpcError:
    """The one answer to every message beyond the limit, however that is noticed."""
    return RpcError(Code.RESOURCE_EXHAUSTED, f"the message is larger than {limit} bytes")


def framed(content: bytes) -> bytes:
    """A message with its length before it."""
    return HEAD.pack(0, len(content)) + content


def _unpacked(body: bytes, encoding: bytes, limit: int, *, at_once: bool) -> bytes:
    most = min(limit, Limits.unpacked_freely + Limits.unpacked_ratio * len(body))
    portion = min(most, AT_ONCE) if at_once else most
    decompressor = zlib.decompressobj(WINDOW_BITS[encoding])
    try:
        content = decompressor.decompress(memoryview(body)[HEAD_SIZE:], portion + 1)
    except zlib.error as error:
        raise RpcError(
            Code.INVALID_ARGUMENT, f"the message is no valid {encoding.decode()}: {error}"
        ) from None
    if len(content) > portion:
        if portion < most:
            raise CostlyError
        if most == limit:
            raise too_large(limit)
        ratio = Limits.unpacked_ratio
        problem = f"the message unpacks to more than {ratio} times its size; send it uncompressed"
        raise RpcError(Code.RESOURCE_EXHAUSTED, problem)
    if not decompressor.eof or decompressor.unused_data:
        raise RpcError(Code.INVALID_ARGUMENT, f"the message is no complete {encoding.decode()}")
    return content
