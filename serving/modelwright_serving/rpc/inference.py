"""The way of one inference over gRPC through the executor. The other calls are left to `service`."""

from collections.abc import Mapping
from functools import partial
from math import inf
from time import monotonic, perf_counter

from modelwright_serving.batch import Executor
from modelwright_serving.http import responses
from modelwright_serving.http2.stream import Stream
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip.answer import Answer
from modelwright_serving.oip.errors import CostlyError, OipError
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.rpc import framing, messages, status
from modelwright_serving.rpc.decoding import Decoder, Target
from modelwright_serving.rpc.delegated import PROTO, Delegated, mirrored
from modelwright_serving.rpc.encoding import Encoder
from modelwright_serving.rpc.replies import DIGEST, Replies
from modelwright_serving.rpc.status import OK_TRAILER, REFUSALS, Code, RpcError
from modelwright_serving.runs import Encoded
from modelwright_serving.state import Serving, State
from modelwright_serving.traffic.delegation import STABLE, Agreed, Delegation, Mirror

_SMALL = 1024


class _Ticket:
    """One inference on its way through the executor."""

    __slots__ = ("_agreed", "_encoding", "_executor", "_method", "_started", "_stream")

    def __init__(
        self,
        method: "ModelInfer",
        stream: Stream,
        encoding: bytes,
        executor: Executor,
        agreed: Agreed | None = None,
    ) -> None:
        self._method = method
        self._executor = executor
        self._stream = stream
        self._agreed = agreed
        self._encoding = encoding
        self._started = perf_counter()
        method.metrics.in_flight += 1
        stream.on_gone = self._gone

    @property
    def settled(self) -> bool:
        stream = self._stream
        if stream.settled or stream.deadline == inf or monotonic() < stream.deadline:
            return stream.settled
        stream.handler.late(stream)
        return True

    def decode(self, *, at_once: bool) -> InferRequest:
        method, body = self._method, self._stream.body
        if at_once and len(body) > _SMALL and body[0]:
            raise CostlyError  # compressed: what it holds may be a thousand times as large
        try:
            message = framing.message(body, self._encoding, method.body_limit)
        except RpcError as error:
            raise _FramingError(error) from None
        return method.decoder.decode(message, at_once=at_once)

    def encode(self, request: InferRequest, answer: Answer) -> Encoded:
        return self._method.encoder.encode(request, answer), None

    def succeed(self, request: InferRequest, answer: Answer, encoded: Encoded) -> None:
        if not self._stream.settled:
            method = self._method
            method.metrics.done("OK", perf_counter() - self._started)
            self._stream.answer(method.head, encoded[0], OK_TRAILER)
            if self._agreed is not None:
                self._agreed(False)

    def fail(self, error: OipError) -> None:
        if self._stream.settled:
            return
        failure = error.status if isinstance(error, _FramingError) else status.from_oip(error)
        self._method.metrics.done(failure.code.name, perf_counter() - self._started)
        self._method.replies.failure(self._stream, failure)
        if self._agreed is not None:
            self._agreed(failure.code in REFUSALS)

    def _gone(self) -> None:
        self._method.metrics.abandoned()
        self._executor.abandon(self)


class _MirroredTicket(_Ticket):
    """An inference that another revision is asked to repeat once its caller has been answered."""

    __slots__ = ("_mirror",)

    def __init__(
        self, method: "ModelInfer", stream: Stream, encoding: bytes, executor: Executor, mirror: Mirror
    ) -> None:
        super().__init__(method, stream, encoding, executor)
        self._mirror = mirror

    def succeed(self, request: InferRequest, answer: Answer, encoded: Encoded) -> None:
        super().succeed(request, answer, encoded)
        self._mirror(request, answer)


class _FramingError(OipError):
    """Carries an error of gRPC's through the executor, which knows no protocol."""

    def __init__(self, status: RpcError) -> None:
        super().__init__(status.message)
        self.status = status


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
        self._digest = ""
        self._delegation: Delegation | None = None
        self.head = status.response()
        self.connect_head = b""

    def install(self, serving: Serving) -> None:
        """Prepare everything that all answers of this model have in common."""
        signature = serving.model.signature
        self.decoder = Decoder(signature, self._target)
        self.encoder = Encoder(signature, self._target.name, self._target.version)
        self._digest = serving.model.digest
        self._make_heads()

    def follow(self, delegation: Delegation | None) -> None:
        """Which share of the calls another revision answers from now on."""
        self._delegation = delegation
        self._make_heads()

    def _make_heads(self) -> None:
        """During a rollout every answer says who gave it."""
        digest = ((DIGEST, self._digest.encode()),) if self._digest else ()
        track = () if self._delegation is None else (STABLE,)
        self.head = status.response(*digest, *track)
        self.connect_head = responses.head(200, PROTO, *digest)

    @property
    def executor(self) -> Executor | None:
        """The queue in front of the model; None while there is no model."""
        return None if self._state.serving is None else self._state.serving.executor

    @property
    def unready(self) -> str:
        """Why there is no model."""
        return self._state.unready_reason[1]

    def accept(self, stream: Stream, encoding: bytes, headers: Mapping[bytes, bytes]) -> None:
        delegation, serving = self._delegation, self._state.serving
        message = None
        if delegation is not None and serving is not None:
            message = self._unpinned(stream, encoding)
        if delegation is None or serving is None or message is None:
            self._answer(stream, encoding)
        elif delegation.delegates(headers):
            answer_here = partial(self._answer, stream, encoding)
            Delegated(delegation, message, stream, self.metrics, answer_here)
        elif delegation.mirrors(headers):
            mirror = mirrored(delegation, message, serving.model.signature)
            serving.executor.submit(_MirroredTicket(self, stream, encoding, serving.executor, mirror))
        else:
            self._answer(stream, encoding)

    def _unpinned(self, stream: Stream, encoding: bytes) -> bytes | None:
        """The message, unless it is broken or names a version: who does gets no other."""
        try:
            message = framing.message(stream.body, encoding, self.body_limit)
            return None if messages.infer_request(message).model_version else message
        except (RpcError, OipError):
            return None

    def _answer(self, stream: Stream, encoding: bytes, agreed: Agreed | None = None) -> None:
        executor = self.executor
        if executor is None:
            self.refuse(stream, RpcError(Code.UNAVAILABLE, self.unready))
            return
        executor.submit(_Ticket(self, stream, encoding, executor, agreed))

    def refuse(self, stream: Stream, error: RpcError) -> None:
        if stream.on_gone is not None:
            stream.on_gone()  # it is in flight no more
        self.metrics.refused(error.code.name)
        self.replies.failure(stream, error)
