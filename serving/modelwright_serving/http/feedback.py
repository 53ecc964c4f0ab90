"""POST .../feedback: predictions that come back with the truth, counted in portions between other work."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import orjson

from modelwright_serving.feedback.feedback import Delivery, Feedback
from modelwright_serving.feedback.request import Entries, cost, decode
from modelwright_serving.http import responses
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.limits import FEEDBACK
from modelwright_serving.memory import REFUSAL
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.state import State

_OFF = "this server takes no feedback: on Kubernetes, set spec.monitoring.feedback of the InferenceService"
_NO_KEY = (
    "there is no key that a token could be signed with: create the Secret that spec.monitoring.feedback.secretRef "
    "names, with a key 'key' of 16 bytes or more"
)


@dataclass(slots=True)
class _Work:
    """A request on its way; `done` entries are counted."""

    exchange: Exchange
    entries: Entries
    delivery: Delivery
    done: int = 0


class FeedbackEndpoint:
    """Requests take turns, a portion of each at a time: none keeps the event loop for longer than a portion takes."""

    takes_body = True

    def __init__(self, state: State, feedback: Feedback, loop: asyncio.AbstractEventLoop) -> None:
        self._state = state
        self._feedback = feedback
        self._loop = loop
        self._waiting: deque[_Work] = deque()
        self._scheduled = False

    def handle(self, exchange: Exchange) -> None:
        try:
            entries = self._entries(exchange)
        except OipError as error:
            exchange.respond(responses.error(error.problem.value, error.message))
            return
        self._waiting.append(_Work(exchange, entries, self._feedback.begin()))
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _entries(self, exchange: Exchange) -> Entries:
        feedback = self._feedback
        if not feedback.wanted:
            raise OipError(_OFF, Problem.NOT_FOUND)
        if self._state.serving is None:
            raise OipError(self._state.unready_reason[1], Problem.UNAVAILABLE)
        if not feedback.verifies:
            raise OipError(_NO_KEY, Problem.UNAVAILABLE)
        if not exchange.hold(cost(exchange.body)):
            raise OipError(REFUSAL, Problem.UNAVAILABLE)
        return decode(exchange.body, feedback.truths)

    def _turn(self) -> None:
        """Count a portion. A caller who has gone will send the rest again, and what is counted is a duplicate then."""
        self._scheduled = False
        left = FEEDBACK.entries_at_once
        while self._waiting and left > 0:
            work = self._waiting.popleft()
            if work.exchange.settled:
                work.delivery.end()
                continue
            try:
                left -= 1 + self._count(work, left)
            except Exception:
                work.exchange.respond(responses.error(500, "the server failed on this feedback"))
                self._schedule()
                raise
        self._schedule()

    def _count(self, work: _Work, most: int) -> int:
        """Count entries of a request, and answer it after the last: how many they were."""
        tokens, truths = work.entries
        start, work.done = work.done, min(work.done + most, len(tokens))
        for token, truth in zip(tokens[start : work.done], truths[start : work.done], strict=True):
            work.delivery.count(token, truth)
        if work.done < len(tokens):
            self._waiting.append(work)
        else:
            work.exchange.respond(responses.json(200, orjson.dumps(work.delivery.end())))
        return work.done - start
