"""Compressed request bodies to plain ones, in steps of bounded cost. Which are compressed is left to the reader."""

import zlib

from modelwright_serving.limits import Limits
from modelwright_serving.memory import REFUSAL, Account

IDENTITY = b"identity"
# 31: a gzip member; 47: gzip or zlib, which is what HTTP calls deflate.
ENCODINGS = {IDENTITY: 0, b"gzip": 31, b"x-gzip": 31, b"deflate": 47}
# Bytes of one step: well below a millisecond.
_STEP_IN = 16 * 1024
_STEP_OUT = 64 * 1024
_HEADER_BYTES = 64 * 1024


class UnpackError(Exception):
    """The body is refused: `status` and `message` are the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Unpacking:
    """One compressed body; what it has unpacked is in the account, and stays there for the caller of the last step."""

    __slots__ = ("_account", "_body", "_encoding", "_limits", "_place", "_plain", "_stream", "_tail")

    def __init__(self, body: bytes, encoding: bytes, limits: Limits, account: Account) -> None:
        self._body = body
        self._encoding = encoding
        self._limits = limits
        self._account = account
        self._place = 0
        self._tail = b""
        self._plain = bytearray()
        self._stream = zlib.decompressobj(ENCODINGS[encoding])

    def step(self) -> bytes | None:
        """The plain body once all is unpacked, until then None; UnpackError if there is none."""
        if not self._tail:
            self._tail = self._body[self._place : self._place + _STEP_IN]
            self._place += len(self._tail)
        try:
            part = self._stream.decompress(self._tail, _STEP_OUT)
        except zlib.error as error:
            raise self._broken(str(error)) from None
        self._tail = self._stream.unconsumed_tail
        self._keep(part)
        if self._stream.eof:  # a gzip body may be several members
            self._tail = self._stream.unused_data
            if not self._tail and self._place == len(self._body):
                plain, self._plain = bytes(self._plain), bytearray()
                return plain
            self._stream = zlib.decompressobj(ENCODINGS[self._encoding])
        elif not self._tail and self._place == len(self._body) and len(part) < _STEP_OUT:
            raise self._broken("the compressed data ends too early" if self._body else "the body is empty")
        return None

    def drop(self) -> None:
        """Give back what has been unpacked."""
        self._account.give(len(self._plain))
        self._plain = bytearray()

    def _keep(self, part: bytes) -> None:
        limits = self._limits
        size, read = len(self._plain) + len(part), self._place - len(self._tail)
        if size > limits.body:
            message = f"the body is larger than {limits.body} bytes; send fewer rows per request"
            raise UnpackError(413, message)
        if size > limits.unpacked_freely + limits.unpacked_ratio * read:
            message = (
                f"the body unpacks to more than {limits.unpacked_ratio} times its size; send it uncompressed"
            )
            raise UnpackError(413, message)
        if read > _HEADER_BYTES + 2 * size:
            raise self._broken("it is larger than what it holds")
        if not self._account.take(len(part)):
            raise UnpackError(503, REFUSAL)
        self._plain += part

    def _broken(self, problem: str) -> UnpackError:
        return UnpackError(400, f"the body is not {self._encoding.decode()}: {problem}")
