"""The way of one inference over HTTP through the executor. The other paths are left to `paths`."""

from time import perf_counter

from modelwright_serving.batch import Executor
from modelwright_serving.http import responses
from modelwright_serving.http.delegated import JSON_ANSWERS, DelegatedExchange, passed_on
from modelwright_serving.http.delegated import request as delegated_request
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.limits import Limits
from modelwright_serving.memory import REFUSAL, Account
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip import request
from modelwright_serving.oip.answer import Answer, Encoder, Tokens
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.signature import DIGEST, PREDICTION_TOKENS, Signature
from modelwright_serving.runs import Encoded
from modelwright_serving.state import Serving, State
from modelwright_serving.traffic.answers import OwnAnswer, OwnError
from modelwright_serving.traffic.delegation import STABLE, Afterwards, Delegation, is_unseen


class _HttpTicket:
    """One inference on its way through the executor."""

    __slots__ = ("_afterwards", "_exchange", "_executor", "_infer", "accepted")

    def __init__(
        self, infer: "Inference", exchange: Exchange, executor: Executor, afterwards: Afterwards | None
    ) -> None:
        self._infer = infer
        self._exchange = exchange
        self._executor = executor
        self._afterwards = afterwards
        self.accepted = perf_counter()
        infer.metrics.in_flight += 1
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
        size = len(exchange.body)
        decoded = request.decode(
            self._infer.signature, exchange.body, exchange.header_length, at_once=at_once
        )
        if self._infer.gives_tokens and exchange.headers.get(PREDICTION_TOKENS) == b"true":
            decoded.tokens = True
        # Of what the worker decodes, one request is there at a time. A record may leave out nearly all of its values.
        if at_once and (size > Limits.counted or decoded.by_record) and not exchange.hold(decoded.footprint):
            raise OipError(REFUSAL, Problem.UNAVAILABLE)
        return decoded

    def encode(self, decoded: InferRequest, answer: Answer) -> Encoded:
        return self._infer.encoder.encode(decoded, answer)

    def succeed(self, decoded: InferRequest, answer: Answer, encoded: Encoded) -> None:
        body, header_length = encoded
        if header_length is None:
            self._respond(Response(200, self._infer.json_head, body))
        else:
            head = b"%binference-header-content-length: %d\r\n" % (self._infer.binary_head, header_length)
            self._respond(Response(200, head, body))
        if self._afterwards is not None:
            self._afterwards(OwnAnswer(body, header_length))

    def fail(self, error: OipError) -> None:
        status = error.problem.value
        self._respond(responses.error(status, error.message, *self._infer.origin))
        if self._afterwards is not None:
            self._afterwards(OwnAnswer(error=OwnError.REFUSED if status < 500 else OwnError.FAILED))

    def _gone(self) -> None:
        self._exchange.on_gone = None
        self._infer.metrics.abandoned()
        self._executor.abandon(self)

    def _respond(self, response: Response) -> None:
        status, seconds, metrics = response.status, perf_counter() - self.accepted, self._infer.metrics
        metrics.done(status, seconds)
        if is_unseen(self._exchange.headers, succeeded=status == metrics.success):
            metrics.remained_unseen(status, seconds)
        self._exchange.on_gone = None  # no cycle: the collector would have to find each request
        self._exchange.respond(response)


class _AskingTicket(_HttpTicket):
    """One whose caller is refused only if another revision does not answer either."""

    __slots__ = ("_delegation", "_is_handed_over")

    def __init__(
        self,
        infer: "Inference",
        exchange: Exchange,
        executor: Executor,
        afterwards: Afterwards | None,
        delegation: Delegation,
    ) -> None:
        super().__init__(infer, exchange, executor, afterwards)
        self._delegation = delegation
        self._is_handed_over = False

    @property
    def settled(self) -> bool:
        return self._exchange.settled or self._is_handed_over

    def fail(self, error: OipError) -> None:
        status = error.problem.value
        if status >= 500:
            super().fail(error)
            return
        self._is_handed_over = True
        seconds = perf_counter() - self.accepted
        refusal = responses.error(status, error.message, *self._infer.origin)
        self._infer.ask_about(refusal, seconds, self._exchange, self._delegation)


class Inference:
    """Inference over HTTP by the served model."""

    def __init__(
        self,
        state: State,
        name: str,
        version: str,
        metrics: ProtocolMetrics[int],
        tokens: Tokens | None = None,
    ) -> None:
        self._state = state
        self._name = name
        self._version = version
        self.metrics = metrics
        self._tokens = tokens
        self.gives_tokens = tokens is not None
        self.signature: Signature
        self.encoder: Encoder
        self._digest: tuple[bytes, bytes]
        # The headers that name the model and, during a rollout, the revision.
        self.origin: tuple[tuple[bytes, bytes], ...]
        self.json_head: bytes
        self.binary_head: bytes
        self.path = f"/v2/models/{name}/infer".encode()
        self.delegation: Delegation | None = None

    def install(self, serving: Serving) -> None:
        """Prepare everything that all answers of this model have in common."""
        self.signature = serving.model.signature
        self.encoder = Encoder(self.signature, self._name, self._version, self._tokens)
        self._digest = (DIGEST, serving.model.digest.encode())
        self._make_heads()

    def follow(self, delegation: Delegation | None) -> None:
        """Which share of the requests is delegated from now on."""
        self.delegation = delegation
        if self._state.serving is not None:
            self._make_heads()

    def _make_heads(self) -> None:
        self.origin = (self._digest,) if self.delegation is None else (self._digest, STABLE)
        self.json_head = responses.head(200, responses.JSON, *self.origin)
        self.binary_head = responses.head(200, responses.BINARY, *self.origin)

    def answer(
        self,
        exchange: Exchange,
        afterwards: Afterwards | None = None,
        about_refusals: Delegation | None = None,
    ) -> None:
        """Answer by this revision's model. `about_refusals`: asks another revision before the request is refused."""
        serving = self._state.serving
        if serving is None:
            self.metrics.refused(503)
            if is_unseen(exchange.headers, succeeded=False):
                self.metrics.remained_unseen(503)
            exchange.respond(responses.unready(self._state.unready_reason[1]))
            if afterwards is not None:
                afterwards(OwnAnswer(error=OwnError.FAILED))
        else:
            executor = serving.executor
            executor.submit(
                _HttpTicket(self, exchange, executor, afterwards)
                if about_refusals is None
                else _AskingTicket(self, exchange, executor, afterwards, about_refusals)
            )

    def delegate(self, exchange: Exchange, delegation: Delegation) -> None:
        """Answer by another revision or, if it fails, by this one."""
        request = delegated_request(delegation, self.path, exchange)
        DelegatedExchange(delegation, request, exchange, self.metrics, JSON_ANSWERS, passed_on, self.answer)

    def answer_and_copy(self, exchange: Exchange, delegation: Delegation) -> None:
        """Answer by this revision's model, and copy the request to another revision."""
        request = delegated_request(delegation, self.path, exchange)
        afterwards = delegation.copying(request, JSON_ANSWERS)
        self.answer(exchange, afterwards, delegation.about_refusals(exchange.headers))

    def ask_about(
        self, refusal: Response, seconds: float, exchange: Exchange, delegation: Delegation
    ) -> None:
        """Let another revision answer what this one refuses, after so many seconds; else the refusal is the answer."""

        def refuse(exchange: Exchange, afterwards: Afterwards | None) -> None:
            self.metrics.in_flight += 1
            self.metrics.done(refusal.status, seconds)
            exchange.respond(refusal)
            if afterwards is not None:
                afterwards(OwnAnswer(error=OwnError.REFUSED))

        self.metrics.in_flight -= 1  # it is the other revision's now
        request = delegated_request(delegation, self.path, exchange)
        DelegatedExchange(delegation, request, exchange, self.metrics, JSON_ANSWERS, passed_on, refuse)


class InferEndpoint:
    """POST .../infer of the model, by whichever revision the traffic rule says."""

    takes_body = True

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def handle(self, exchange: Exchange) -> None:
        inference = self._inference
        delegation = inference.delegation
        if delegation is None:
            inference.answer(exchange)
        elif delegation.delegates(exchange.headers):
            inference.delegate(exchange, delegation)
        elif delegation.mirrors(exchange.headers):
            inference.answer_and_copy(exchange, delegation)
        else:
            inference.answer(exchange, about_refusals=delegation.about_refusals(exchange.headers))


class PinnedEndpoint:
    """POST .../versions/V/infer: a caller who names the version gets no other."""

    takes_body = True

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def handle(self, exchange: Exchange) -> None:
        self._inference.answer(exchange)
