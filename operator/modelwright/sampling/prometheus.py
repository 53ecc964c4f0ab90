"""Asks the administrator's Prometheus the queries of running rollouts.

The only requests that the operator sends to Prometheus, and to no other address than the one it was started with.
What to ask, and what the answers mean, is left to the kind.
"""

from __future__ import annotations

import logging
from datetime import datetime

import aiohttp

from modelwright.common.facts import QUERY_RESULTS
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.engine.cache import View
from modelwright.engine.objects import Key
from modelwright.inferenceservice.analysis.prometheus_result import (
    NoValue,
    QueryResults,
    Reading,
    result,
    steady,
)
from modelwright.inferenceservice.analysis.queries import QueryRound, Question, query_round
from modelwright.sampling import http
from modelwright.sampling.loop import Book, Limits, NoAnswer, Source, Unanswered

logger = logging.getLogger(__name__)

SECONDS = 5.0
MOST_BYTES = 1024**2
# Prometheus gives up a little before we do, and says so; two series are enough to see that there are too many.
LIMITS = {"timeout": f"{SECONDS - 1:g}s", "limit": "2"}
NOT_CONFIGURED = NoValue(
    "PrometheusNotConfigured", "the operator was installed without the address of a Prometheus"
)


class Queries(Source[QueryRound, Question, float | NoValue]):
    """What Prometheus answers in the present step. One query of a service at a time, so that none takes all."""

    fact = QUERY_RESULTS
    resource = INFERENCE_SERVICES
    limits = Limits(every=1.0, timeout=SECONDS, per_object=1, in_all=8)

    def __init__(self, session: aiohttp.ClientSession, url: str | None) -> None:
        self._session = session
        self._url = url
        self._trouble = ""

    def round(self, view: View, key: Key, now: datetime) -> QueryRound | None:
        """The queries of a service whose canary has traffic."""
        return query_round(view, key, now)

    def every(self, target: Question) -> float:
        """As often as the spec says."""
        return target.interval

    async def ask(self, now: QueryRound, target: Question, at: datetime) -> float | NoValue:
        """The value of a query now. Messages are for users: they name no address of the administrator's."""
        if self._url is None:
            return NOT_CONFIGURED
        form = {"query": now.text(target, at), **LIMITS}
        try:
            async with self._session.post(
                f"{self._url}/api/v1/query", data=form, allow_redirects=False
            ) as answer:
                return result(answer.status, await http.body(answer, MOST_BYTES))
        except http.TooLarge as error:
            return NoValue("PrometheusFailed", str(error))
        except (aiohttp.ClientConnectionError, OSError) as error:
            self._complain(error)
            raise NoAnswer("it cannot be connected to, or breaks the connection") from error
        except aiohttp.ClientError as error:
            self._complain(error)
            return NoValue("PrometheusFailed", "its answer is not HTTP")

    def book(self, now: QueryRound) -> Book[QueryRound, Question, float | NoValue]:
        """The answers of a step, from none."""
        return QueryBook()

    def _complain(self, error: Exception) -> None:
        """Tells the administrator, once, what users do not see: the address and what is wrong with it."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            logger.warning("%s: %s", self._url, error)


class QueryBook:
    """The last answer to each query of one step."""

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}

    def take(self, target: Question, answer: float | NoValue | Unanswered, at: datetime) -> None:
        """Keeps the answer; no answer is one too, of no value."""
        if isinstance(answer, Unanswered):
            answer = NoValue("PrometheusUnreachable", answer.why)
        reading = Reading(target.query, answer, int(at.timestamp()))
        self._readings[target.name] = steady(self._readings.get(target.name), reading)

    def found(self, now: QueryRound, at: datetime) -> QueryResults | None:
        """All answers; None before the first."""
        return QueryResults(now.since, dict(self._readings)) if self._readings else None
