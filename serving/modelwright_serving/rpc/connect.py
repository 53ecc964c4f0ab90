"""ModelInfer as one HTTP/1.1 request with a protobuf body: a unary call of the Connect protocol.

It is for callers (https://connectrpc.com/docs/protocol), and for the gRPC calls that another revision delegates.
"""

from __future__ import annotations

from time import perf_counter

import orjson

from modelwright_serving.batch import Executor
from modelwright_serving.http import responses
from modelwright_serving.http.delegated import DelegatedExchange
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.limits import Limits
from modelwright_serving.memory import REFUSAL, Account
from modelwright_serving.oip.answer import Answer
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.signature import DIGEST, PREDICTION_TOKENS
from modelwright_serving.rpc import delegated, framing, status
from modelwright_serving.rpc.delegated import PROTO, PROTOBUF_ANSWERS, own_error
from modelwright_serving.rpc.inference import ModelInfer
from modelwright_serving.rpc.status import REFUSALS, Code, RpcError
from modelwright_serving.runs import Encoded
from modelwright_serving.traffic.answers import CheckedAnswer, OwnAnswer
from modelwright_serving.traffic.delegation import Afterwards, Delegation, is_unseen

# The HTTP status and the name of each code, from the Connect protocol.
_ERRORS = {
    Code.INVALID_ARGUMENT: (400, "invalid_argument"),
    Code.DEADLINE_EXCEEDED: (504, "deadline_exceeded"),
    Code.NOT_FOUND: (404, "not_found"),
    Code.RESOURCE_EXHAUSTED: (429, "resource_exhausted"),
    Code.UNIMPLEMENTED: (501, "unimplemented"),
    Code.INTERNAL: (500, "internal"),
    Code.UNAVAILABLE: (503, "unavailable"),
}


class _ConnectTicket:
    """One inference on its way through the executor."""

    __slots__ = ("_afterwards", "_exchange", "_executor", "_method", "accepted")

    def __init__(
        self, method: ModelInfer, exchange: Exchange, executor: Executor, afterwards: Afterwards | None
    ) -> None:
        self._method = method
        self._afterwards = afterwards
        self._executor = executor
        self._exchange = exchange
        self.accepted = perf_counter()
        method.metrics.in_flight += 1
        exchange.on_gone = self._gone

    @property
    def account(self) -> Account:
        return self._exchange.account

    @property
    def is_copy(self) -> bool:
        return is_unseen(self._exchange.headers, succeeded=True)

    @property
    def settled(self) -> bool:
        return self._exchange.settled

    def decode(self, *, at_once: bool) -> InferRequest:
        exchange = self._exchange
        request = self._method.decoder.decode(exchange.body, at_once=at_once)
        if self._method.gives_tokens and exchange.headers.get(PREDICTION_TOKENS) == b"true":
            request.tokens = True
        if at_once and len(exchange.body) > Limits.counted and not exchange.hold(request.footprint):
            raise OipError(REFUSAL, Problem.UNAVAILABLE)
        return request

    def encode(self, request: InferRequest, answer: Answer) -> Encoded:
        return self._method.encoder.encode(request, answer)[framing.HEAD_SIZE :], None

    def succeed(self, request: InferRequest, answer: Answer, encoded: Encoded) -> None:
        self._count("OK")
        self._respond(Response(200, self._method.connect_head, encoded[0]))
        if self._afterwards is not None:
            self._afterwards(OwnAnswer(encoded[0]))

    def fail(self, error: OipError) -> None:
        failure = status.from_oip(error)
        self._count(failure.code.name)
        self._respond(_error(failure, *self._method.origin))
        if self._afterwards is not None:
            self._afterwards(own_error(failure))

    def _count(self, code: str) -> None:
        seconds, metrics = perf_counter() - self.accepted, self._method.metrics
        metrics.done(code, seconds)
        if is_unseen(self._exchange.headers, succeeded=code == metrics.success):
            metrics.remained_unseen(code, seconds)

    def _respond(self, response: Response) -> None:
        self._exchange.on_gone = None  # no cycle: the collector would have to find each request
        self._exchange.respond(response)

    def _gone(self) -> None:
        self._exchange.on_gone = None
        self._method.metrics.abandoned()
        self._executor.abandon(self)


class _AskingTicket(_ConnectTicket):
    """One whose caller is refused only if another revision does not answer either."""

    __slots__ = ("_delegation", "_is_handed_over")

    def __init__(
        self,
        method: ModelInfer,
        exchange: Exchange,
        executor: Executor,
        afterwards: Afterwards | None,
        delegation: Delegation,
    ) -> None:
        super().__init__(method, exchange, executor, afterwards)
        self._delegation = delegation
        self._is_handed_over = False

    @property
    def settled(self) -> bool:
        return self._exchange.settled or self._is_handed_over

    def fail(self, error: OipError) -> None:
        refusal = status.from_oip(error)
        if refusal.code not in REFUSALS:
            super().fail(error)
            return
        self._is_handed_over = True
        seconds = perf_counter() - self.accepted
        _ask_about(refusal, seconds, self._exchange, self._method, self._delegation)


class ConnectEndpoint:
    """POST of a ModelInferRequest."""

    takes_body = True

    def __init__(self, method: ModelInfer) -> None:
        self._method = method

    def handle(self, exchange: Exchange) -> None:
        if exchange.headers.get(b"content-type") != PROTO:
            exchange.respond(responses.error(415, f"this path takes {PROTO.decode()} only"))
            return
        method, headers = self._method, exchange.headers
        delegation = method.delegation
        if delegation is None or method.executor is None or delegated.stays(exchange.body):
            self._answer(exchange)
        elif delegation.delegates(headers):
            request = delegated.request(delegation, exchange.body, headers)
            DelegatedExchange(
                delegation, request, exchange, method.metrics, PROTOBUF_ANSWERS, _passed_on, self._answer
            )
        elif delegation.mirrors(headers):
            request = delegated.request(delegation, exchange.body, headers)
            afterwards = delegation.copying(request, PROTOBUF_ANSWERS)
            self._answer(exchange, afterwards, delegation.about_refusals(headers))
        else:
            self._answer(exchange, about_refusals=delegation.about_refusals(headers))

    def _answer(
        self,
        exchange: Exchange,
        afterwards: Afterwards | None = None,
        about_refusals: Delegation | None = None,
    ) -> None:
        """Answer by this revision's model."""
        executor = self._method.executor
        if executor is None:
            error = RpcError(Code.UNAVAILABLE, self._method.unready)
            self._method.metrics.refused(error.code.name)
            if is_unseen(exchange.headers, succeeded=False):
                self._method.metrics.remained_unseen(error.code.name)
            exchange.respond(_error(error))
            return
        executor.submit(
            _ConnectTicket(self._method, exchange, executor, afterwards)
            if about_refusals is None
            else _AskingTicket(self._method, exchange, executor, afterwards, about_refusals)
        )


def _ask_about(
    refusal: RpcError, seconds: float, exchange: Exchange, method: ModelInfer, delegation: Delegation
) -> None:
    """Let another revision answer what this one refuses, after so many seconds; else the refusal is the answer."""

    def refuse(exchange: Exchange, afterwards: Afterwards | None) -> None:
        method.metrics.in_flight += 1
        method.metrics.done(refusal.code.name, seconds)
        exchange.respond(_error(refusal, *method.origin))
        if afterwards is not None:
            afterwards(own_error(refusal))

    method.metrics.in_flight -= 1  # it is the other revision's now
    request = delegated.request(delegation, exchange.body, exchange.headers)
    DelegatedExchange(delegation, request, exchange, method.metrics, PROTOBUF_ANSWERS, _passed_on, refuse)


def _passed_on(answer: CheckedAnswer, track: tuple[bytes, bytes]) -> Response:
    """The other revision's answer for the caller."""
    return Response(200, responses.head(200, PROTO, (DIGEST, answer.digest), track), answer.body)


def _error(error: RpcError, *headers: tuple[bytes, bytes]) -> Response:
    number, name = _ERRORS[error.code]
    body = orjson.dumps({"code": name, "message": error.message})
    return Response(number, responses.head(number, responses.JSON, *headers), body)
