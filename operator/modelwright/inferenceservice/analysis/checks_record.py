"""The record of the checks in the status, which changes seldom. Pure.

Every change of the status costs a write, and a look comes every two seconds. So the record is written anew when the
result, reason or message of a check changes, when the samples of one that has not passed reach the next of a series of
levels, or when those of one that has passed have doubled; then all of it is of that moment. A check with a million
samples causes at most 110 writes if it never passes, 20 if it passes, and none without new samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from modelwright.api.checks import MESSAGE_LENGTH, NOT_MEASURED, TOO_FEW, Check
from modelwright.checks.against_stable import SCORE, SHIFT
from modelwright.checks.rates import AGREEMENT, DIFFERENCE, ERROR_RATE
from modelwright.checks.verdict import Result, Verdict
from modelwright.inferenceservice.analysis import reach
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.prometheus_result import NoValue

# What `kubectl get` shows of checks that lack samples, and of checks that all pass.
COLLECTING, PASSING = "CollectingSamples", "Passing"
# The first two digits of the levels, 20 a decade: the preferred numbers R20 of ISO 3, rounded down.
LEVELS = (10, 11, 12, 14, 16, 18, 20, 22, 25, 28, 31, 35, 40, 45, 50, 56, 63, 71, 80, 90)
# The most reasons for which answers were not compared that a message names.
MOST_REASONS = 5
# The most checks that the record holds.
MOST_CHECKS = 32
# The checks that need compared answers.
_COMPARING = frozenset((AGREEMENT.metric, DIFFERENCE.metric))


def recorded(
    verdicts: Iterable[Verdict], measured: StepCounts | None, before: Sequence[Check] | None
) -> list[Check] | None:
    """Returns the record of these verdicts, or the one before if the difference is not worth a write.

    `measured`: the counts behind the verdicts. They tell why there are no samples.
    """
    named: dict[str, Verdict] = {}
    for verdict in verdicts:
        # A query may have the name of a check. The names of queries have no dot.
        name = verdict.metric if verdict.metric not in named else f"query.{verdict.metric}"
        named[name] = verdict
    entries = [
        (name, verdict, _hindrance(verdict, measured)) for name, verdict in list(named.items())[:MOST_CHECKS]
    ]
    known = [
        (each.name, each.reason, each.message, level(each.result, each.samples)) for each in before or ()
    ]
    if known == [(name, v.reason, why, level(v.result, v.samples)) for name, v, why in entries]:
        return list(before or ()) or None
    # The details take some milliseconds, so they are for the record only.
    return [_check(name, verdict.detailed(), why) for name, verdict, why in entries]


def word(overall: Verdict) -> str:
    """Returns the word for `kubectl get`: all checks pass, samples are collected, or the reason of the verdict."""
    if overall.result == "Pass":
        return PASSING
    return COLLECTING if overall.reason == TOO_FEW else overall.reason


def level(result: Result, samples: int) -> tuple[Result, int]:
    """Returns the result with the largest level that is not above the number of samples."""
    if result == "Pass":
        return result, 1 << samples.bit_length() >> 1
    if samples < LEVELS[0]:
        return result, samples
    scale: int = 10 ** (len(str(samples)) - 2)
    return result, max(first for first in LEVELS if first * scale <= samples) * scale


def _check(name: str, verdict: Verdict, message: str | None) -> Check:
    interval = verdict.interval
    needed = verdict.samples_needed if verdict.result == "Inconclusive" else None
    return Check(
        name=name,
        result=verdict.result,
        reason=verdict.reason,
        message=message,
        value=_short(verdict.value),
        low=None if interval is None else _short(interval.low),
        high=None if interval is None else _short(interval.high),
        threshold=_short(verdict.threshold),
        samples=verdict.samples,
        samples_needed=needed if needed is None or verdict.reason == TOO_FEW else _rounded_up(needed),
    )


def _hindrance(verdict: Verdict, measured: StepCounts | None) -> str | None:
    """What keeps a check from having samples or a value; None if that is not known, or nothing does."""
    if measured is None or verdict.result == "Pass" or verdict.reason == NOT_MEASURED:
        return None
    reading = measured.queries.get(verdict.metric)
    if (
        reading is not None
        and isinstance(reading.result, NoValue)
        and reading.result.reason == verdict.reason
    ):
        return reading.result.message[:MESSAGE_LENGTH]
    if verdict.metric == ERROR_RATE.metric:
        return reach.unreachable(measured) or reach.unasked(measured)
    return _without_samples(verdict, measured) if verdict.reason == TOO_FEW else None


def _without_samples(verdict: Verdict, measured: StepCounts) -> str | None:
    """What keeps a check that compares both revisions from having samples."""
    if verdict.metric == SHIFT:
        return None if measured.predicted.rows else "nothing that it predicted is counted"
    if verdict.metric == SCORE and not verdict.samples:
        return f"no label has come back for {'the stable one' if measured.labels else 'its predictions'}"
    if verdict.metric not in _COMPARING:
        return None
    if measured.uncompared:
        return f"not compared: {', '.join(sorted(measured.uncompared)[:MOST_REASONS])}"
    return None if measured.shadowed else "no request was copied"


def _short(value: float | None) -> float | None:
    """The value with four significant digits; None if it is not finite, which JSON cannot hold."""
    return None if value is None or not isfinite(value) else float(f"{value:.4g}")


def _rounded_up(samples: int) -> int:
    """The number of samples with two significant digits."""
    scale: int = 10 ** max(0, len(str(samples)) - 2)
    return -(-samples // scale) * scale
