"""The health service of gRPC, which Kubernetes' probes and clients ask: grpc.health.v1.Health, Check and Watch."""

from collections.abc import Mapping
from functools import partial

from modelwright_serving.http2.stream import Stream
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.rpc import framing, messages, status
from modelwright_serving.rpc.calls import Unary
from modelwright_serving.rpc.replies import Replies
from modelwright_serving.rpc.status import Code, RpcError
from modelwright_serving.state import State

_SERVING = b"\x08\x01"
_NOT_SERVING = b"\x08\x02"
_SERVICE_UNKNOWN = b"\x08\x03"
_TOO_MANY = "this connection watches too much already; end a Watch, or use another connection"


class Health:
    """Answers with the server's state, and sends it to those who watch whenever it changes."""

    body_limit = 64 * 1024

    def __init__(self, state: State, replies: Replies, services: tuple[str, ...]) -> None:
        self._state = state
        self._replies = replies
        self._services = services
        self._watchers: set[Stream] = set()
        self.check = Unary(replies, self._check)

    def changed(self) -> None:
        """Send the state to all who watch."""
        for stream in list(self._watchers):
            stream.send(framing.framed(self._status))

    def accept(self, stream: Stream, encoding: bytes, headers: Mapping[bytes, bytes]) -> None:
        """Watch: the state now, and whenever it changes."""
        try:
            [service] = messages.texts(framing.message(stream.body, encoding, self.body_limit), 1)
        except RpcError as error:
            self.refuse(stream, error)
        except OipError as error:
            self.refuse(stream, status.from_oip(error))
        else:
            self._watch(stream, service)

    def refuse(self, stream: Stream, error: RpcError) -> None:
        """An answer without a state, or the end of those that have been given."""
        if stream.on_retire is None:
            self._replies.failure(stream, error)
        else:
            self._end(stream, error.code, error.message)

    def _watch(self, stream: Stream, service: str) -> None:
        if not stream.keep(partial(self._end, stream, Code.UNAVAILABLE, "the server is shutting down")):
            self.refuse(stream, RpcError(Code.RESOURCE_EXHAUSTED, _TOO_MANY))
            return
        stream.start(self._replies.head)
        known = service in self._services
        if known:
            self._watchers.add(stream)
            stream.on_gone = partial(self._watchers.discard, stream)
        stream.send(framing.framed(self._status if known else _SERVICE_UNKNOWN))

    def _end(self, stream: Stream, code: Code, message: str) -> None:
        self._watchers.discard(stream)
        self._replies.end(stream, code, message)

    def _check(self, message: bytes) -> bytes:
        [service] = messages.texts(message, 1)
        if service not in self._services:
            raise OipError(f"unknown service {service[:100]!r}", Problem.NOT_FOUND)
        return self._status

    @property
    def _status(self) -> bytes:
        return _SERVING if self._state.ready else _NOT_SERVING
