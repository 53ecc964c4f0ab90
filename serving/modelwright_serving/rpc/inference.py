"""The way of one inference over gRPC through the executor. The other calls are left to `service`."""

from math import inf
from time import monotonic, perf_counter

from modelwright_serving.http2.stream import Stream
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip.answer import Answer
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.rpc import framing, status
from modelwright_serving.rpc.decoding import Decoder, Target
from modelwright_serving.rpc.encoding import Encoder
from modelwright_serving.rpc.replies import Replies
from modelwright_serving.rpc.status import OK_TRAILER, Code, RpcError
from modelwright_serving.state import Serving, State


class _Ticket:
    """One inference on its way through the executor."""

    __slots__ = ("_encoding", "_method", "_started", "_stream")

    def __init__(self, method: "ModelInfer", stream: Stream, encoding: bytes) -> None:
        self._method = method
        self._stream = stream
        self._encoding = encoding
        self._started = perf_counter()
        method.metrics.in_flight += 1
        stream.on_gone = method.metrics.abandoned

    @property
    def settled(self) -> bool:
        stream = self._stream
        if stream.settled or stream.deadline == inf or monotonic() < stream.deadline:
            return stream.settled
        stream.handler.late(stream)
        return True

    def decode(self) -> InferRequest:
        method = self._method
        try:
            message = framing.message(self._stream.body, self._encoding, method.body_limit)
        except RpcError as error:
            raise _FramingError(error) from None
        return method.decoder.decode(message)

    def succeed(self, request: InferRequest, answer: Answer) -> None:
        method = self._method
        body = method.encoder.encode(request, answer)
        if not self._stream.settled:
            method.metrics.done("OK", perf_counter() - self._started)
            self._stream.answer(method.replies.head, body, OK_TRAILER)

    def fail(self, error: OipError) -> None:
        if self._stream.settled:
            return
        failure = error.reason if isinstance(error, _FramingError) else status.from_oip(error)
        self._method.metrics.done(failure.code.name, perf_counter() - self._started)
        self._method.replies.failure(self._stream, failure)


class _FramingError(OipError):
    """Carries an error of gRPC's through the executor, which knows no protocol."""

    def __init__(self, reason: RpcError) -> None:
        super().__init__(reason.message)
        self.reason = reason


class ModelInfer:
    """The call ModelInfer of the served model."""

    def __init__(
        self, state: State, target: Target, replies: Replies, metrics: ProtocolMetrics[str], body_limit: int
    ) -> None:
        self._state = state
        self._target = target
        self.replies = replies
        self.metrics = metrics
        self.body_limit = body_limit
        self.decoder: Decoder
        self.encoder: Encoder

    def install(self, serving: Serving) -> None:
        """Prepare everything that all answers of this model have in common."""
        signature = serving.model.signature
        self.decoder = Decoder(signature, self._target)
        self.encoder = Encoder(signature, self._target.name, self._target.version)

    def accept(self, stream: Stream, encoding: bytes) -> None:
        serving = self._state.serving
        if serving is None:
            self.refuse(stream, RpcError(Code.UNAVAILABLE, self._state.unready_reason[1]))
            return
        serving.executor.submit(_Ticket(self, stream, encoding))

    def refuse(self, stream: Stream, error: RpcError) -> None:
        if stream.on_gone is not None:
            stream.on_gone()  # it is in flight no more
        self.metrics.refused(error.code.name)
        self.replies.failure(stream, error)
