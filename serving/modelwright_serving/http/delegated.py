"""The way of one inference over HTTP through another revision, and back here when that one fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelwright_serving.http import responses
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip import response
from modelwright_serving.oip.signature import Signature
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.traffic.client import Answer
from modelwright_serving.traffic.delegation import CANARY, Agreed, Attempt, Delegation, Mirror

_LENGTH = b"inference-header-content-length"
# Of the answer's headers those that describe its content or its model.
_PASSED = (_LENGTH, b"modelwright-model-digest")


class Delegated:
    """Asks the other revision with the caller's own body; `answer_here` is for what it does not answer."""

    __slots__ = ("_answer_here", "_attempt", "_exchange", "_metrics")

    def __init__(
        self,
        delegation: Delegation,
        path: bytes,
        exchange: Exchange,
        metrics: ProtocolMetrics[int],
        answer_here: Callable[[Exchange, Agreed | None], None],
    ) -> None:
        self._exchange = exchange
        self._metrics = metrics
        self._answer_here = answer_here
        metrics.in_flight += 1
        exchange.on_gone = self._gone
        request = _request(delegation, path, exchange)
        self._attempt = Attempt(delegation, request, delegation.seconds(), self._answered, self._failed)

    def _gone(self) -> None:
        self._metrics.abandoned()
        self._attempt.abandon()

    def _answered(self, answer: Answer) -> None:
        self._metrics.in_flight -= 1
        passed = [(name, answer.headers[name]) for name in _PASSED if name in answer.headers]
        kind = answer.headers.get(b"content-type", responses.JSON)
        head = responses.head(answer.status, kind, *passed, CANARY)
        self._exchange.respond(Response(answer.status, head, answer.body))

    def _failed(self, agreed: Agreed | None) -> None:
        self._metrics.in_flight -= 1
        self._exchange.on_gone = None
        self._answer_here(self._exchange, agreed)


def mirrored(delegation: Delegation, path: bytes, exchange: Exchange, signature: Signature) -> Mirror:
    """Has the other revision repeat the request, and compares."""
    return delegation.mirror(_request(delegation, path, exchange), signature, _outputs)


def _outputs(answer: Answer) -> Mapping[str, Tensor]:
    length = answer.headers.get(_LENGTH)
    return response.read(answer.body, None if length is None else int(length))


def _request(delegation: Delegation, path: bytes, exchange: Exchange) -> bytes:
    kind = exchange.headers.get(b"content-type", responses.JSON)
    if exchange.header_length is None:
        return delegation.request(path, kind, exchange.body)
    return delegation.request(path, kind, exchange.body, (_LENGTH, b"%d" % exchange.header_length))
