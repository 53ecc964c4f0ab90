"""Checks by the user's own queries: which to send to Prometheus, with which values, and the verdicts. Pure.

A query without a value makes no verdict: the step waits, and the record of the check says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from modelwright.api.inferenceservice import (
    PLACEHOLDERS,
    CanaryRevision,
    InferenceServiceSpec,
    InferenceServiceStatus,
    Query,
    StableRevision,
)
from modelwright.checks.verdict import Verdict
from modelwright.common.reading import read_valid
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, name, namespace, uid
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, Reading

_PLACEHOLDER = re.compile(rf"\$\(({'|'.join(PLACEHOLDERS)})\)")
_TO_ESCAPE = re.compile(rb"[^A-Za-z0-9._-]")
_SHIFTING = frozenset(("Shifting", "Completing"))


@dataclass(frozen=True)
class Question:
    """A query of the spec, and its interval in seconds."""

    name: str
    query: str
    interval: float


@dataclass(frozen=True)
class QueryRound:
    """The queries of one step of a canary that can be sent now."""

    about: Key
    uid: str
    since: str
    targets: tuple[Question, ...]
    # The values of the placeholders.
    known: Mapping[str, str]

    @property
    def subject(self) -> tuple[str, str]:
        """Identifies the step: answers of another step, or of an earlier object of the same name, do not count."""
        return self.uid, self.since

    def text(self, question: Question, now: datetime) -> str:
        """The query with its placeholders filled in."""
        seconds = max(1, int((now - from_timestamp(self.since)).total_seconds()))
        values = {**self.known, "seconds": str(seconds)}
        return _PLACEHOLDER.sub(lambda match: _escaped(values[match[1]]), question.query)


def query_round(view: View, key: Key, now: datetime) -> QueryRound | None:
    """The queries to send for an InferenceService; None if it has none, or no canary with a share of the traffic.

    A query is first sent when the step is as old as its interval, so that a range of $(seconds) has samples, and of
    this step only.
    """
    body = view.get(key)
    if body is None or not _has_queries(body):
        return None
    spec = InferenceServiceSpec.model_validate(body["spec"])
    status = read_valid(InferenceServiceStatus, body["status"])
    if spec.rollout.analysis is None or status.stable is None or status.canary is None:
        return None
    since = status.canary.step_since or status.canary.since
    age = (now - from_timestamp(since)).total_seconds()
    questions = tuple(
        Question(query.name, query.query, query.interval_seconds)
        for query in spec.rollout.analysis.queries or ()
        if age >= query.interval_seconds
    )
    return QueryRound(key, uid(body), since, questions, _known(body, status.stable, status.canary))


def verdicts(queries: Iterable[Query], readings: Mapping[str, Reading]) -> Iterator[Verdict]:
    """Yields the verdict on the last answer to each query."""
    for query in queries:
        reading = _reading(query, readings)
        if reading is None:
            yield Verdict("Inconclusive", query.name, "QueryNotAsked", 0)
        elif isinstance(reading.result, NoValue):
            yield Verdict("Inconclusive", query.name, reading.result.reason, 0)
        else:
            yield _judged(query, reading.result, reading.look)


def _judged(query: Query, value: float, look: int) -> Verdict:
    if query.max is not None and value > query.max:
        return Verdict("Fail", query.name, "QueryAboveMax", 1, value, query.max, look=look)
    if query.min is not None and value < query.min:
        return Verdict("Fail", query.name, "QueryBelowMin", 1, value, query.min, look=look)
    limit = query.min if query.max is None else query.max
    return Verdict("Pass", query.name, "QueryWithinLimits", 1, value, limit, look=look)


def _known(body: Body, stable: StableRevision, canary: CanaryRevision) -> dict[str, str]:
    """The values of all placeholders but $(seconds)."""
    return {
        "revision": canary.revision,
        "version": canary.version,
        "stable": stable.revision,
        "namespace": namespace(body),
        "name": name(body),
    }


def _has_queries(body: Body) -> bool:
    """True if the canary has traffic and queries. A cheap check before validation: most services have no queries."""
    canary = (body.get("status") or {}).get("canary") or {}
    analysis = (body["spec"].get("rollout") or {}).get("analysis") or {}
    return canary.get("state") in _SHIFTING and bool(analysis.get("queries"))


def _reading(query: Query, readings: Mapping[str, Reading]) -> Reading | None:
    """The result of the query as the spec has it now; None if there is none yet."""
    reading = readings.get(query.name)
    return reading if reading is not None and reading.query == query.query else None


def _escaped(value: str) -> str:
    """The value, escaped for a PromQL string with any kind of quotes."""
    return _TO_ESCAPE.sub(lambda byte: b"\\x%02x" % ord(byte[0]), value.encode()).decode()
