"""Delegates inference over HTTP to another revision, and checks its answer before the caller gets it."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Any

import orjson

from modelwright_serving.http import responses
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.limits import TRAFFIC
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip import response
from modelwright_serving.oip.signature import DIGEST
from modelwright_serving.traffic.answers import (
    AnswerForm,
    CheckedAnswer,
    InvalidAnswerError,
    content_type,
    digest,
)
from modelwright_serving.traffic.attempt import Attempt
from modelwright_serving.traffic.client import JSON_LENGTH, ReceivedResponse, Request
from modelwright_serving.traffic.delegation import Afterwards, Delegation

_LISTS = re.compile(rb'"(outputs|records)"\s*:\s*\[')


class DelegatedExchange:
    """A request that another revision is to answer. `respond` makes a response of its answer and the header that names
    the revision; `answer_here` is called if there is none."""

    __slots__ = ("_answer_here", "_attempt", "_exchange", "_metrics", "_respond", "_track")

    def __init__(
        self,
        delegation: Delegation,
        request: Request,
        exchange: Exchange,
        metrics: ProtocolMetrics[Any],
        form: AnswerForm,
        respond: Callable[[CheckedAnswer, tuple[bytes, bytes]], Response],
        answer_here: Callable[[Exchange, Afterwards | None], None],
    ) -> None:
        self._exchange = exchange
        self._metrics = metrics
        self._respond = respond
        self._track = delegation.track
        self._answer_here = answer_here
        metrics.in_flight += 1
        exchange.on_gone = self._gone
        self._attempt = Attempt(delegation, request, inf, form, self._pass_on, self._failed)

    def _gone(self) -> None:
        self._metrics.abandoned()
        self._attempt.abandon()

    def _pass_on(self, answer: CheckedAnswer) -> None:
        self._metrics.in_flight -= 1
        self._exchange.respond(self._respond(answer, self._track))

    def _failed(self, afterwards: Afterwards | None) -> None:
        self._metrics.in_flight -= 1
        self._exchange.on_gone = None
        self._answer_here(self._exchange, afterwards)


def request(delegation: Delegation, path: bytes, exchange: Exchange) -> Request:
    """The caller's request for the other revision, with the body as it is without compression."""
    length = exchange.header_length
    if length is None:
        return delegation.request(path, responses.JSON, exchange.body, exchange.headers)
    more = (JSON_LENGTH, b"%d" % length)
    return delegation.request(path, responses.BINARY, exchange.body, exchange.headers, more)


def passed_on(answer: CheckedAnswer, track: tuple[bytes, bytes]) -> Response:
    """The other revision's answer for the caller."""
    named = (DIGEST, answer.digest)
    if answer.json_length is None:
        return responses.json(200, answer.body, named, track)
    length = (JSON_LENGTH, b"%d" % answer.json_length)
    return Response(200, responses.head(200, responses.BINARY, length, named, track), answer.body)


def _check(received: ReceivedResponse) -> CheckedAnswer:
    """An inference response: JSON, or JSON with binary data after it."""
    body, length = received.body, None
    if content_type(received, responses.JSON, responses.BINARY) == responses.BINARY:
        length = _json_length(received)
    document = body if length is None else body[:length]
    if not (_is_answer(document) if len(document) <= TRAFFIC.parsed else _begins_as_answer(document)):
        raise InvalidAnswerError("its body is no JSON object with outputs or records")
    return CheckedAnswer(body, length, digest(received))


def _json_length(received: ReceivedResponse) -> int:
    found = received.headers.get(JSON_LENGTH, b"")
    if not found.isdigit() or len(found) > 15 or int(found) > len(received.body):
        raise InvalidAnswerError(f"its header {JSON_LENGTH.decode()} is no length of a part of its body")
    return int(found)


def _is_answer(document: bytes) -> bool:
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError:
        return False
    return isinstance(found, dict) and list in {type(found.get("outputs")), type(found.get("records"))}


def _begins_as_answer(document: bytes) -> bool:
    """The same by both ends of a large document, as parsing it would take too long."""
    start = document[: TRAFFIC.parsed]
    return start[:1] == b"{" and document[-1:] == b"}" and _LISTS.search(start) is not None


JSON_ANSWERS = AnswerForm(_check, response.read)
