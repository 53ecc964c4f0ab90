"""The way of one inference over gRPC through the executor. The other calls are left to `service`."""

from collections.abc import Mapping
from functools import partial
from math import inf
from time import monotonic, perf_counter

from modelwright_serving.batch import Executor
from modelwright_serving.http import responses
from modelwright_serving.http2.stream import Stream
from modelwright_serving.limits import TRAFFIC, Limits
from modelwright_serving.memory import REFUSAL, Account
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip.answer import Answer, Tokens
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.signature import DIGEST, PREDICTION_TOKENS
from modelwright_serving.rpc import delegated, framing, status
from modelwright_serving.rpc.decoding import RequestDecoder, Target
from modelwright_serving.rpc.delegated import PROTO, PROTOBUF_ANSWERS, DelegatedCall, own_error
from modelwright_serving.rpc.encoding import ResponseEncoder
from modelwright_serving.rpc.replies import Replies
from modelwright_serving.rpc.status import OK_TRAILER, REFUSALS, Code, RpcError
from modelwright_serving.runs import Encoded
from modelwright_serving.state import Serving, State
from modelwright_serving.traffic.answers import OwnAnswer
from modelwright_serving.traffic.delegation import STABLE, Afterwards, Delegation


class _GrpcTicket:
    """One inference on its way through the executor."""

    __slots__ = ("_afterwards", "_encoding", "_executor", "_method", "_stream", "accepted")

    def __init__(
        self,
        method: "ModelInfer",
        stream: Stream,
        encoding: bytes,
        executor: Executor,
        afterwards: Afterwards | None,
    ) -> None:
        self._method = method
        self._executor = executor
        self._stream = stream
        self._afterwards = afterwards
        self._encoding = encoding
        self.accepted = perf_counter()
        method.metrics.in_flight += 1
        stream.on_gone = self._gone

    @property
    def account(self) -> Account:
        return self._stream.account

    @property
    def is_copy(self) -> bool:
        return False  # copies come by the Connect protocol

    @property
    def settled(self) -> bool:
        stream = self._stream
        if stream.settled or stream.deadline == inf or monotonic() < stream.deadline:
            return stream.settled
        stream.handler.late(stream)
        return True

    def decode(self, *, at_once: bool) -> InferRequest:
        method, stream = self._method, self._stream
        try:
            message = framing.message(stream.body, self._encoding, method.body_limit, at_once=at_once)
        except RpcError as error:
            raise _FramingError(error) from None
        request = method.decoder.decode(message, at_once=at_once)
        if method.gives_tokens and stream.handler.headers.get(PREDICTION_TOKENS) == b"true":
            request.tokens = True
        # Of what the worker decodes, one message is there at a time.
        if at_once and len(message) > Limits.counted:
            self._count(message, request)
        return request

    def _count(self, message: bytes, request: InferRequest) -> None:
        """Count what has become of the body, which is counted itself."""
        unpacked = max(0, len(message) - len(self._stream.body))
        if not self._stream.hold(unpacked + request.footprint):
            raise OipError(REFUSAL, Problem.UNAVAILABLE)

    def encode(self, request: InferRequest, answer: Answer) -> Encoded:
        return self._method.encoder.encode(request, answer), None

    def succeed(self, request: InferRequest, answer: Answer, encoded: Encoded) -> None:
        if not self._stream.settled:
            method = self._method
            method.metrics.done("OK", perf_counter() - self.accepted)
            self._stream.on_gone = None  # no cycle: the collector would have to find each call
            self._stream.answer(method.head, encoded[0], OK_TRAILER)
            if self._afterwards is not None:
                self._afterwards(OwnAnswer(encoded[0][framing.HEAD_SIZE :]))

    def fail(self, error: OipError) -> None:
        if self._stream.settled:
            return
        failure = error.status if isinstance(error, _FramingError) else status.from_oip(error)
        self._method.metrics.done(failure.code.name, perf_counter() - self.accepted)
        self._stream.on_gone = None
        self._method.fail(self._stream, failure)
        if self._afterwards is not None:
            self._afterwards(own_error(failure))

    def _gone(self) -> None:
        self._stream.on_gone = None
        self._method.metrics.abandoned()
        self._executor.abandon(self)


class _AskingTicket(_GrpcTicket):
    """One whose caller is refused only if another revision does not answer either."""

    __slots__ = ("_delegation", "_is_handed_over")

    def __init__(
        self,
        method: "ModelInfer",
        stream: Stream,
        encoding: bytes,
        executor: Executor,
        afterwards: Afterwards | None,
        delegation: Delegation,
    ) -> None:
        super().__init__(method, stream, encoding, executor, afterwards)
        self._delegation = delegation
        self._is_handed_over = False

    @property
    def settled(self) -> bool:
        return self._is_handed_over or super().settled

    def fail(self, error: OipError) -> None:
        refusal = status.from_oip(error)
        if refusal.code not in REFUSALS:
            super().fail(error)
        elif not self._stream.settled:
            self._is_handed_over = True
            seconds = perf_counter() - self.accepted
            self._method.ask_about(refusal, seconds, self._stream, self._encoding, self._delegation)


class _FramingError(OipError):
    """Carries an error of gRPC's through the executor, which knows no protocol."""

    def __init__(self, status: RpcError) -> None:
        super().__init__(status.message)
        self.status = status


class ModelInfer:
    """The call ModelInfer of the served model."""

    def __init__(
        self,
        state: State,
        target: Target,
        replies: Replies,
        metrics: ProtocolMetrics[str],
        body_limit: int,
        tokens: Tokens | None = None,
    ) -> None:
        self._state = state
        self._target = target
        self.replies = replies
        self.metrics = metrics
        self.body_limit = body_limit
        self._tokens = tokens
        self.gives_tokens = tokens is not None
        self.decoder: RequestDecoder
        self.encoder: ResponseEncoder
        self._digest = ""
        self._track: tuple[tuple[bytes, bytes], ...] = ()
        self.delegation: Delegation | None = None
        self.head = status.response()
        # The headers of an HTTP response that name the model and, during a rollout, the revision.
        self.origin: tuple[tuple[bytes, bytes], ...] = ()
        self.connect_head = b""

    def install(self, serving: Serving) -> None:
        """Prepare everything that all answers of this model have in common."""
        signature = serving.model.signature
        self.decoder = RequestDecoder(signature, self._target)
        self.encoder = ResponseEncoder(signature, self._target.name, self._target.version, self._tokens)
        self._digest = serving.model.digest
        self._make_heads()

    def follow(self, delegation: Delegation | None) -> None:
        """Which share of the calls is delegated from now on."""
        self.delegation = delegation
        self._make_heads()

    def _make_heads(self) -> None:
        digest = ((DIGEST, self._digest.encode()),) if self._digest else ()
        self._track = () if self.delegation is None else (STABLE,)
        self.origin = (*digest, *self._track)
        self.head = status.response(*self.origin)
        self.connect_head = responses.head(200, PROTO, *self.origin)

    @property
    def executor(self) -> Executor | None:
        """The queue in front of the model; None while there is no model."""
        return None if self._state.serving is None else self._state.serving.executor

    @property
    def unready(self) -> str:
        """Why there is no model."""
        return self._state.unready_reason[1]

    def accept(self, stream: Stream, encoding: bytes, headers: Mapping[bytes, bytes]) -> None:
        delegation = self.delegation
        message = None if delegation is None or self.executor is None else self._message(stream, encoding)
        if delegation is None or message is None or delegated.stays(message):
            self._answer(stream, encoding)
        elif delegation.delegates(headers):
            request = delegated.request(delegation, message, headers)
            answer_here = partial(self._answer, stream, encoding)
            DelegatedCall(delegation, request, stream, self.metrics, answer_here)
        elif delegation.mirrors(headers):
            request = delegated.request(delegation, message, headers)
            afterwards = delegation.copying(request, PROTOBUF_ANSWERS)
            self._answer(stream, encoding, afterwards, delegation.about_refusals(headers))
        else:
            self._answer(stream, encoding, about_refusals=delegation.about_refusals(headers))

    def _message(self, stream: Stream, encoding: bytes) -> bytes | None:
        """The message without its frame and compression; None if it is broken, or would take too long to unpack."""
        limit = min(self.body_limit, TRAFFIC.unpacked) if stream.body[:1] == b"\1" else self.body_limit
        try:
            return framing.message(stream.body, encoding, limit)
        except RpcError:
            return None

    def ask_about(
        self, refusal: RpcError, seconds: float, stream: Stream, encoding: bytes, delegation: Delegation
    ) -> None:
        """Let another revision answer what this one refuses, after so many seconds; else the refusal is the answer."""

        def refuse(afterwards: Afterwards | None) -> None:
            self.metrics.in_flight += 1
            self.metrics.done(refusal.code.name, seconds)
            self.fail(stream, refusal)
            if afterwards is not None:
                afterwards(own_error(refusal))

        self.metrics.in_flight -= 1  # it is the other revision's now
        message = framing.message(stream.body, encoding, self.body_limit)
        request = delegated.request(delegation, message, stream.handler.headers)
        DelegatedCall(delegation, request, stream, self.metrics, refuse)

    def _answer(
        self,
        stream: Stream,
        encoding: bytes,
        afterwards: Afterwards | None = None,
        about_refusals: Delegation | None = None,
    ) -> None:
        executor = self.executor
        if executor is None:
            self.refuse(stream, RpcError(Code.UNAVAILABLE, self.unready))
            return
        executor.submit(
            _GrpcTicket(self, stream, encoding, executor, afterwards)
            if about_refusals is None
            else _AskingTicket(self, stream, encoding, executor, afterwards, about_refusals)
        )

    def refuse(self, stream: Stream, error: RpcError) -> None:
        if stream.on_gone is not None:
            stream.on_gone()  # it is in flight no more
        self.metrics.refused(error.code.name)
        self.replies.failure(stream, error)

    def fail(self, stream: Stream, error: RpcError) -> None:
        """Answer with an error of this revision's model."""
        self.replies.failure(stream, error, *self._track)
