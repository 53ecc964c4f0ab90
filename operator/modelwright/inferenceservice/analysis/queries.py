"""Checks by the user's own queries: which of them Prometheus is asked, with what filled in, and what follows. Pure.

An error of measuring says nothing about a canary: it is waited for, and told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelwright.api.inferenceservice import (
    PLACEHOLDERS,
    Analysis,
    CanaryRevision,
    InferenceServiceSpec,
    InferenceServiceStatus,
    Query,
    StableRevision,
)
from modelwright.checks.verdict import Verdict
from modelwright.common.reading import readable
from modelwright.common.resources import name, namespace
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, uid
from modelwright.inferenceservice.analysis.counts import Measured
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, Reading

_PLACEHOLDER = re.compile(rf"\$\(({'|'.join(PLACEHOLDERS)})\)")
_TO_ESCAPE = re.compile(rb"[^A-Za-z0-9._-]")
_ASKING = frozenset(("Shifting", "Completing"))


@dataclass(frozen=True)
class Inquiry:
    """The queries of one step of one canary; `known`: what takes the place of the placeholders."""

    key: Key
    uid: str
    since: str
    queries: tuple[Query, ...]
    known: Mapping[str, str]

    def due(self, query: Query, asked: datetime | None, now: datetime) -> bool:
        """Whether to ask it now, after it was asked last then.

        First when the step is as old as the interval: so a range of $(seconds) holds something, and only of this step.
        """
        interval = timedelta(seconds=query.interval_seconds)
        if now < from_timestamp(self.since) + interval:
            return False
        # The second part is for a clock that was set back.
        return asked is None or now - asked >= interval or now < asked

    def text(self, query: Query, now: datetime) -> str:
        """The query with everything filled in."""
        seconds = max(1, int((now - from_timestamp(self.since)).total_seconds()))
        values = {**self.known, "seconds": str(seconds)}
        return _PLACEHOLDER.sub(lambda found: _escaped(values[found[1]]), query.query)


def inquiries(view: View, keys: Iterable[Key]) -> Iterator[Inquiry]:
    """Those of the InferenceServices among these keys whose canary has a share of the traffic, and queries."""
    for key in keys:
        body = view.get(key)
        if body is None or not _asks(body):
            continue
        spec = InferenceServiceSpec.model_validate(body["spec"])
        status = readable(InferenceServiceStatus, body["status"])
        if spec.rollout.analysis is None or status.stable is None or status.canary is None:
            continue
        yield Inquiry(
            key,
            uid(body),
            status.canary.step_since or status.canary.since,
            tuple(spec.rollout.analysis.queries or ()),
            _known(body, status.stable, status.canary),
        )


def verdicts(queries: Iterable[Query], readings: Mapping[str, Reading]) -> Iterator[Verdict]:
    """What the last answer to each query says."""
    for query in queries:
        reading = _reading(query, readings)
        if reading is None:
            yield Verdict("Inconclusive", query.name, "QueryNotAsked", 0)
        elif isinstance(reading.result, NoValue):
            yield Verdict("Inconclusive", query.name, reading.result.reason, 0)
        else:
            yield _judged(query, reading.result, reading.look)


def wanting(analysis: Analysis | None, measured: Measured | None, canary: CanaryRevision) -> str:
    """What to tell users of the first query without a value, to go on a sentence; empty if there is none."""
    if analysis is None or measured is None or measured.since != canary.step_since:
        return ""
    for query in analysis.queries or ():
        reading = _reading(query, measured.queries)
        if reading is not None and isinstance(reading.result, NoValue):
            return f"; waits for query {query.name}: {reading.result.reason}: {reading.result.message}"
    return ""


def _judged(query: Query, value: float, look: int) -> Verdict:
    if query.max is not None and value > query.max:
        return Verdict("Fail", query.name, "QueryAboveMax", 1, value, query.max, look)
    if query.min is not None and value < query.min:
        return Verdict("Fail", query.name, "QueryBelowMin", 1, value, query.min, look)
    limit = query.min if query.max is None else query.max
    return Verdict("Pass", query.name, "QueryWithinLimits", 1, value, limit, look)


def _known(body: Body, stable: StableRevision, canary: CanaryRevision) -> dict[str, str]:
    return {
        "revision": canary.revision,
        "version": canary.version,
        "stable": stable.revision,
        "namespace": namespace(body),
        "name": name(body),
    }


def _asks(body: Body) -> bool:
    """What most services can be told by, without reading all of them."""
    canary = (body.get("status") or {}).get("canary") or {}
    analysis = (body["spec"].get("rollout") or {}).get("analysis") or {}
    return canary.get("state") in _ASKING and bool(analysis.get("queries"))


def _reading(query: Query, readings: Mapping[str, Reading]) -> Reading | None:
    """What came of the query as it is now; None if nothing yet."""
    reading = readings.get(query.name)
    return reading if reading is not None and reading.query == query.query else None


def _escaped(value: str) -> str:
    """The value as a part of a PromQL string, whichever quotes are around it."""
    return _TO_ESCAPE.sub(lambda byte: b"\\x%02x" % ord(byte[0]), value.encode()).decode()
