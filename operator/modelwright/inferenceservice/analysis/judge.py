"""Judges a canary by the counts since its step began. Pure; what follows from the verdict is decided in `rollout`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from math import ceil, inf

from modelwright.api.inferenceservice import Analysis
from modelwright.checks import statistics
from modelwright.checks.quantiles import Cells
from modelwright.checks.verdict import Verdict
from modelwright.inferenceservice.analysis import queries
from modelwright.inferenceservice.analysis.counts import StepCounts

RESTARTED = "Restarted"
TOO_FEW = "TooFewSamples"
# The progress towards the samples that a step needs is reported in these percentages only.
COARSE = (10, 25, 50, 75)
# The most reasons for which answers were not compared that a message names.
MOST_REASONS = 5
# The checks that need compared answers.
_COMPARING = frozenset(("agreement", "difference"))
_P99, _P50 = 0.99, 0.5


def judge(analysis: Analysis, measured: StepCounts | None) -> Verdict:
    """The verdict of all checks: the first that fails, else the first that is inconclusive, else a pass."""
    if measured is None:
        return Verdict("Inconclusive", "requests", "NotMeasured", 0, 0.0, float(analysis.min_samples))
    return _worst(list(_checks(analysis, measured)))


def judge_baking(analysis: Analysis, measured: StepCounts | None) -> Verdict:
    """The verdict on a revision that bakes. It has the whole traffic, so there is nothing to compare it with."""
    if measured is None:
        return Verdict("Inconclusive", "requests", "NotMeasured", 0, 0.0, float(analysis.min_samples))
    return _error_rate(analysis, measured)


def judge_pods(analysis: Analysis, restarts: int) -> Verdict | None:
    """A failed verdict if a revision's containers restarted more often than allowed; else None."""
    if restarts <= analysis.max_restarts:
        return None
    return Verdict("Fail", "restarts", RESTARTED, 1, float(restarts), float(analysis.max_restarts))


def judge_unmet(analysis: Analysis, measured: StepCounts | None) -> Verdict:
    """The verdict on a revision that gets no requests: by the queries alone."""
    if not analysis.queries:
        return Verdict("Pass", "requests", "NothingToMeasure", 0)
    return _worst(list(queries.verdicts(analysis.queries, {} if measured is None else measured.queries)))


def waiting_for(analysis: Analysis, measured: StepCounts | None) -> list[str]:
    """What inconclusive checks still need, as phrases for messages; not for queries, which `queries.wanting` names.

    Counts of samples are rounded down to a few levels, because every change of the status costs a write.
    """
    if measured is None:
        return ["the metrics of its pods"]
    return [
        _needs(verdict, analysis) + _hindrance(verdict, measured)
        for verdict in _checks(analysis, measured)
        if verdict.result == "Inconclusive" and (verdict.reason == TOO_FEW or verdict.threshold is not None)
    ]


def _needs(verdict: Verdict, analysis: Analysis) -> str:
    if verdict.reason != TOO_FEW:
        return f"{verdict.metric}: not clearly within its limit of {verdict.threshold:.4g}"
    needed, samples = analysis.min_samples, verdict.samples
    reached = [level for percent in COARSE if 0 < (level := needed * percent // 100) <= samples]
    if samples == 0:
        progress = "0"
    elif reached:
        progress = f"at least {max(reached)}"
    else:
        progress = f"fewer than {ceil(needed * COARSE[0] / 100)}"
    return f"{verdict.metric}: {progress} of {needed} samples"


def _hindrance(verdict: Verdict, measured: StepCounts) -> str:
    """Suffix that tells why few answers were compared; empty for other checks."""
    if verdict.metric not in _COMPARING or verdict.reason != TOO_FEW:
        return ""
    if measured.uncompared:
        return f" (not compared: {', '.join(sorted(measured.uncompared)[:MOST_REASONS])})"
    if not measured.shadowed:
        return " (no request was copied)"
    return ""


def _worst(verdicts: list[Verdict]) -> Verdict:
    """The first failure, else the first inconclusive verdict, else the first pass."""
    for result in ("Fail", "Inconclusive"):
        worst = next((verdict for verdict in verdicts if verdict.result == result), None)
        if worst is not None:
            return worst
    return verdicts[0]


def _checks(analysis: Analysis, measured: StepCounts) -> Iterator[Verdict]:
    yield _error_rate(analysis, measured)
    if analysis.max_p99_increase is not None:
        yield _latency(analysis, "p99Seconds", _P99, analysis.max_p99_increase, measured)
    if analysis.max_p50_increase is not None:
        yield _latency(analysis, "p50Seconds", _P50, analysis.max_p50_increase, measured)
    if analysis.min_agreement is not None:
        yield _agreement(analysis, analysis.min_agreement, measured)
    if analysis.max_difference is not None:
        yield _difference(analysis, analysis.max_difference, measured)
    if measured.shadowed:
        yield _non_finite(measured)
    yield from queries.verdicts(analysis.queries or (), measured.queries)


def _error_rate(analysis: Analysis, measured: StepCounts) -> Verdict:
    """Fails as soon as the rate is above its limit with confidence; passes at or below it with enough samples."""
    samples, limit = measured.requests, analysis.max_error_rate
    rate = measured.faults / samples if samples else 0.0
    # A few failures at the start prove little, whatever the confidence interval.
    surely = (
        measured.faults >= analysis.min_failures and statistics.share(measured.faults, samples).low > limit
    )
    if surely:
        return Verdict("Fail", "errorRate", "ErrorRateTooHigh", samples, rate, limit)
    if samples < analysis.min_samples:
        return Verdict("Inconclusive", "errorRate", TOO_FEW, samples, rate, limit)
    if rate > limit:
        return Verdict("Inconclusive", "errorRate", "ErrorRateUnclear", samples, rate, limit)
    return Verdict("Pass", "errorRate", "ErrorRateWithinLimit", samples, rate, limit)


def _latency(analysis: Analysis, metric: str, rank: float, increase: float, measured: StepCounts) -> Verdict:
    """Compares a percentile of both revisions; fails if the increase is above its limit with confidence."""
    canary = statistics.quantile_interval(_buckets(measured.canary_durations), rank)
    stable = statistics.quantile_interval(_buckets(measured.stable_durations), rank)
    samples = round(
        min(map(statistics.total, (_buckets(measured.canary_durations), _buckets(measured.stable_durations))))
    )
    if canary is None or stable is None or samples < analysis.min_samples:
        return Verdict("Inconclusive", metric, TOO_FEW, samples)
    limit = stable.high * (1 + increase)
    value = statistics.quantile(_buckets(measured.canary_durations), rank)
    if canary.low > limit:
        return Verdict("Fail", metric, "TooSlow", samples, value, limit)
    return Verdict("Pass", metric, "FastEnough", samples, value, limit)


def _difference(analysis: Analysis, limit: float, measured: StepCounts) -> Verdict:
    """Compares numbers of both revisions' answers: 99 % of the differences have to be within the limit."""
    samples = round(statistics.total(_buckets(measured.differences)))
    interval = statistics.quantile_interval(_buckets(measured.differences), _P99)
    value = statistics.quantile(_buckets(measured.differences), _P99)
    if interval is not None and samples >= analysis.min_failures and interval.low > limit:
        return Verdict("Fail", "difference", "NumbersDiffer", samples, value, limit)
    if samples < analysis.min_samples:
        return Verdict("Inconclusive", "difference", TOO_FEW, samples, value, limit)
    if value is not None and value > limit:
        return Verdict("Inconclusive", "difference", "DifferenceUnclear", samples, value, limit)
    return Verdict("Pass", "difference", "NumbersAgree", samples, value, limit)


def _agreement(analysis: Analysis, limit: float, measured: StepCounts) -> Verdict:
    """Compares labels of both revisions' answers."""
    samples = measured.labelled
    rate = measured.agreement / samples if samples else 1.0
    if samples and statistics.share(round(measured.agreement), samples).high < limit:
        return Verdict("Fail", "agreement", "AnswersDiffer", samples, rate, limit)
    if samples < analysis.min_samples:
        return Verdict("Inconclusive", "agreement", TOO_FEW, samples, rate, limit)
    if rate < limit:
        return Verdict("Inconclusive", "agreement", "AgreementUnclear", samples, rate, limit)
    return Verdict("Pass", "agreement", "AnswersAgree", samples, rate, limit)


def _non_finite(measured: StepCounts) -> Verdict:
    """Fails at a single number that is NaN or infinite where the stable revision's is finite."""
    samples = measured.shadowed.get("Compared", 0)
    value = float(measured.non_finite)
    if measured.non_finite:
        return Verdict("Fail", "nonFinite", "NonFiniteAnswers", samples, value, 0.0)
    return Verdict("Pass", "nonFinite", "AnswersFinite", samples, value, 0.0)


def _buckets(cells: Cells) -> dict[float, float]:
    """The cells as cumulative buckets."""
    counts = sorted((upper, count) for (_, upper), count in cells.items())
    below = dict(zip((upper for upper, _ in counts), accumulate(count for _, count in counts), strict=True))
    return below | {inf: sum(cells.values())} if cells else {}
