"""Sends the queries of running rollouts to the administrator's Prometheus.

The operator sends no other requests to Prometheus, and none to another address than the configured one.
`inferenceservice.analysis` decides what is queried, and interprets the answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime

import aiohttp

from modelwright.common.facts import QUERY_RESULTS
from modelwright.common.indexes import SERVICES_MEASURED, YES
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.common.settings import Prometheus
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
from modelwright.sampling.loop import Answers, Limits, NoAnswer, Source, Unanswered
from modelwright.sampling.prometheus_access import PrometheusAccess, Unusable, distrusted

logger = logging.getLogger(__name__)

SECONDS = 5.0
MOST_BYTES = 1024**2
# Prometheus times out a little before this request, and so can report it. Two series suffice to detect more than one.
LIMITS = {"timeout": f"{SECONDS - 1:g}s", "limit": "2"}
# Answers of what stands before Prometheus, too: a proxy that checks tokens.
DENIED = frozenset((401, 403))
NOT_CONFIGURED = NoValue(
    "PrometheusNotConfigured", "the operator was installed without the address of a Prometheus"
)


class Queries(Source[QueryRound, Question, float | NoValue]):
    """The source of QUERY_RESULTS: the values of queries in the current step.

    A service has one query at a time, so that no service can use the whole limit.
    """

    fact = QUERY_RESULTS
    resource = INFERENCE_SERVICES
    limits = Limits(every=1.0, timeout=SECONDS, per_object=1, in_all=8)

    def __init__(self, session: aiohttp.ClientSession, settings: Prometheus) -> None:
        self._session = session
        self._url = settings.url
        self._access = PrometheusAccess(settings)
        self._last_error = ""

    def candidates(self, view: View) -> Iterable[Key]:
        """Services with a canary that has a share of the traffic, or with a revision that is baked."""
        return view.indexed_keys(SERVICES_MEASURED, YES)

    def round(self, view: View, key: Key, now: datetime) -> QueryRound | None:
        """The queries to send; None if the service has none, or its canary has no traffic."""
        return query_round(view, key, now)

    def every(self, target: Question) -> float:
        """The interval of the query in the spec."""
        return target.interval

    async def ask(self, current: QueryRound, target: Question, at: datetime) -> float | NoValue:
        """Sends a query and returns its value. Messages are for users, so they do not hold the address."""
        if self._url is None:
            return NOT_CONFIGURED
        try:
            return await self._answer({"query": current.text(target, at), **LIMITS})
        except Unusable as error:
            self._log(error.__cause__ or error)
            return error.why
        except http.TooLarge as error:
            return NoValue("PrometheusFailed", str(error))
        except (aiohttp.ClientConnectionError, OSError) as error:
            self._log(error)
            raise NoAnswer("it cannot be connected to, or breaks the connection") from error
        except aiohttp.ClientError as error:
            self._log(error)
            return NoValue("PrometheusFailed", "its answer is not HTTP")

    async def _answer(self, form: Mapping[str, str]) -> float | NoValue:
        """Sends a query as the administrator wants it."""
        headers, context = self._access.headers(), self._access.context()
        try:
            async with self._session.post(
                f"{self._url}/api/v1/query", data=form, headers=headers, ssl=context, allow_redirects=False
            ) as answer:
                if answer.status in DENIED:
                    return self._access.denied(answer.status)
                return result(answer.status, await http.body(answer, MOST_BYTES))
        except aiohttp.ClientSSLError as error:
            raise Unusable(distrusted(error)) from error

    def answers(self, current: QueryRound) -> Answers[QueryRound, Question, float | NoValue]:
        """No answers of the step yet."""
        return QueryAnswers()

    def _log(self, error: BaseException) -> None:
        """Logs an error for the administrator, with the address that users do not see; a repeated error only once."""
        if str(error) != self._last_error:
            self._last_error = str(error)
            logger.warning("%s: %s", self._url, error)


class QueryAnswers:
    """The last answer to each query of one step."""

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}

    def add(self, target: Question, answer: float | NoValue | Unanswered, at: datetime) -> None:
        """Keeps the answer. If there was none, it is a NoValue."""
        if isinstance(answer, Unanswered):
            answer = NoValue("PrometheusUnreachable", answer.why)
        reading = Reading(target.query, answer, int(at.timestamp()))
        self._readings[target.name] = steady(self._readings.get(target.name), reading)

    def fact(self, current: QueryRound, at: datetime) -> QueryResults | None:
        """All answers; None if there are none yet."""
        return QueryResults(current.since, dict(self._readings)) if self._readings else None
