"""The way of one inference over HTTP through another revision, and back here when that one fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter

from modelwright_serving.http import responses
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.traffic.client import Answer, Failure
from modelwright_serving.traffic.counts import Outcome
from modelwright_serving.traffic.delegation import HEADER, Delegation, judge

TRACK = b"modelwright-track"
LENGTH = b"inference-header-content-length"
# Of the answer's headers those that describe its content or its model.
_PASSED = (LENGTH, b"modelwright-model-digest")

Watcher = Callable[[int], None]


class Delegated:
    """Asks the other revision with the caller's own body; whatever goes wrong, `answer_here` is called instead."""

    __slots__ = ("_answer_here", "_call", "_delegation", "_exchange", "_metrics", "_started")

    def __init__(
        self,
        delegation: Delegation,
        path: bytes,
        exchange: Exchange,
        metrics: ProtocolMetrics[int],
        answer_here: Callable[[Exchange, Watcher | None], None],
    ) -> None:
        self._delegation = delegation
        self._exchange = exchange
        self._metrics = metrics
        self._answer_here = answer_here
        self._started = perf_counter()
        metrics.in_flight += 1
        exchange.on_gone = self._gone
        request = _request(delegation.host, path, exchange)
        self._call = delegation.client.send(request, delegation.rule.timeout, self._told)

    def _gone(self) -> None:
        self._metrics.abandoned()
        self._call.abandon()

    def _told(self, told: Answer | Failure) -> None:
        self._metrics.in_flight -= 1
        counts = self._delegation.counts
        outcome = judge(told)
        if isinstance(told, Answer) and outcome is Outcome.ANSWERED:
            counts.outcomes[outcome] += 1
            counts.durations.observe(perf_counter() - self._started)
            self._exchange.respond(_response(told))
        elif outcome is Outcome.REJECTED:
            self._answer_here(self._exchange, self._agreed)
        else:
            counts.outcomes[outcome] += 1
            self._answer_here(self._exchange, None)

    def _agreed(self, status: int) -> None:
        """The other revision has refused the request; what did this one say?"""
        refused = 400 <= status < 500
        self._delegation.counts.outcomes[Outcome.INVALID if refused else Outcome.REJECTED] += 1


def is_delegated(headers: Mapping[bytes, bytes]) -> bool:
    """Whether another revision asks, for a caller of its own."""
    return HEADER in headers


def _request(host: bytes, path: bytes, exchange: Exchange) -> bytes:
    """The caller's request as it would have come to the other revision."""
    length = b""
    if exchange.header_length is not None:
        length = b"%b: %d\r\n" % (LENGTH, exchange.header_length)
    kind = exchange.headers.get(b"content-type", responses.JSON)
    return b"POST %b HTTP/1.1\r\nhost: %b\r\n%b: 1\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        path,
        host,
        HEADER,
        kind,
        length,
        len(exchange.body),
        exchange.body,
    )


def _response(answer: Answer) -> Response:
    passed = [(name, answer.headers[name]) for name in _PASSED if name in answer.headers]
    kind = answer.headers.get(b"content-type", responses.JSON)
    head = responses.head(200, kind, *passed, (TRACK, b"canary"))
    return Response(200, head, answer.body)
