"""From a request's headers to the handler of its call: method, encoding, deadline. What calls do is left to methods."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from modelwright_serving.http2.request import RequestHead
from modelwright_serving.http2.stream import Handler, Stream
from modelwright_serving.memory import REFUSAL
from modelwright_serving.oip.errors import OipError
from modelwright_serving.rpc import framing, status
from modelwright_serving.rpc.replies import Replies
from modelwright_serving.rpc.status import Code, RpcError
from modelwright_serving.tracing import REQUEST_ID, request_id

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_GRPC = re.compile(rb"application/grpc(\+proto)?(;.*)?")
_SMALL = 64 * 1024
_NOT_GRPC = b"this port speaks gRPC: send POST with the content-type application/grpc\n"


class Method(Protocol):
    """What a path leads to."""

    @property
    def body_limit(self) -> int: ...

    def accept(self, stream: Stream, encoding: bytes, headers: Mapping[bytes, bytes]) -> None:
        """Answer a request that is complete, now or later; `headers`: the last of each name."""
        ...

    def refuse(self, stream: Stream, error: RpcError) -> None:
        """Answer a request that gets no further."""
        ...


class CallHandler:
    """Handles the calls of one method that have the same headers: one encoding, one timeout."""

    reads_body = True

    def __init__(
        self,
        method: Method,
        encoding: bytes,
        seconds: float | None,
        headers: Mapping[bytes, bytes],
    ) -> None:
        self._method = method
        self._encoding = encoding
        self.headers = headers
        self.echo = _echo(headers)
        self.body_limit = method.body_limit + framing.HEAD_SIZE
        self.seconds = seconds

    def handle(self, stream: Stream) -> None:
        self._method.accept(stream, self._encoding, self.headers)

    def too_large(self, stream: Stream) -> None:
        self._method.refuse(stream, framing.too_large(self._method.body_limit))

    def overloaded(self, stream: Stream) -> None:
        self._method.refuse(stream, RpcError(Code.UNAVAILABLE, REFUSAL))

    def late(self, stream: Stream) -> None:
        self._method.refuse(stream, RpcError(Code.DEADLINE_EXCEEDED, "the call's deadline has passed"))


class Unary:
    """One message in, one message out, at once."""

    body_limit = _SMALL

    def __init__(self, replies: Replies, respond: Callable[[bytes], bytes]) -> None:
        self._replies = replies
        self._respond = respond

    def accept(self, stream: Stream, encoding: bytes, headers: Mapping[bytes, bytes]) -> None:
        try:
            content = self._respond(framing.message(stream.body, encoding, self.body_limit))
        except RpcError as error:
            self.refuse(stream, error)
        except OipError as error:
            self.refuse(stream, status.from_oip(error))
        else:
            self._replies.message(stream, content)

    def refuse(self, stream: Stream, error: RpcError) -> None:
        self._replies.failure(stream, error)


class RefusedCall:
    """Answers a call whose headers alone say that it gets no result: at once, since a caller may stream for long."""

    body_limit = _SMALL
    seconds: float | None = None
    reads_body = False

    def __init__(self, replies: Replies, error: RpcError, headers: Mapping[bytes, bytes]) -> None:
        self._replies = replies
        self._error = error
        self.headers = headers
        self.echo = _echo(headers)

    def handle(self, stream: Stream) -> None:
        self._replies.failure(stream, self._error)

    too_large = overloaded = late = handle


class NotGrpc:
    """Answers requests of HTTP/2 that are no gRPC calls."""

    headers: Mapping[bytes, bytes] = MappingProxyType({})
    echo = b""

    body_limit = _SMALL
    seconds: float | None = None
    reads_body = True
    _head = status.fields(
        (b":status", b"415"),
        (b"content-type", b"text/plain"),
        (b"content-length", b"%d" % len(_NOT_GRPC)),
    )

    def handle(self, stream: Stream) -> None:
        stream.refuse(self._head, _NOT_GRPC)

    too_large = overloaded = late = handle


class Router:
    """Finds the handler for a request's headers; one that says what is wrong if they are no call of ours."""

    def __init__(self, methods: Mapping[bytes, Method], replies: Replies, max_fields: int) -> None:
        self._methods = methods
        self._replies = replies
        self._max_fields = max_fields

    def route(self, head: RequestHead) -> Handler:
        """The handler that all requests with these headers have in common."""
        if head.method != b"POST" or not _GRPC.fullmatch(head.first(b"content-type") or b""):
            return NotGrpc()
        headers = dict(head.fields)
        try:
            return self._call(head, headers)
        except RpcError as error:
            return RefusedCall(self._replies, error, headers)

    def _call(self, head: RequestHead, headers: Mapping[bytes, bytes]) -> CallHandler:
        if len(head.fields) > self._max_fields:
            problem = f"the call has {len(head.fields)} fields of metadata; send at most {self._max_fields}"
            raise RpcError(Code.RESOURCE_EXHAUSTED, problem)
        method = self._methods.get(head.path)
        if method is None:
            path = head.path[:200].decode("latin-1")
            raise RpcError(Code.UNIMPLEMENTED, f"there is no method {path}")
        encoding = head.first(b"grpc-encoding") or framing.IDENTITY
        if encoding != framing.IDENTITY and encoding not in framing.WINDOW_BITS:
            name = encoding[:40].decode("latin-1")
            raise RpcError(Code.UNIMPLEMENTED, f"messages in {name} cannot be read; send identity or gzip")
        return CallHandler(method, encoding, _seconds(head.first(b"grpc-timeout")), headers)


def _echo(headers: Mapping[bytes, bytes]) -> bytes:
    """The caller's request id as an encoded field."""
    identity = request_id(headers)
    return status.fields((REQUEST_ID, identity)).block if identity else b""


def _seconds(timeout: bytes | None) -> float | None:
    if timeout is None:
        return None
    found = _TIMEOUT.fullmatch(timeout)
    if found is None:
        raise RpcError(Code.INVALID_ARGUMENT, "grpc-timeout is no time, such as 500m for half a second")
    return int(found[1]) * _UNITS[found[2]]
