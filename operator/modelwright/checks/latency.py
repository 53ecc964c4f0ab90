"""The check of an increase of a percentile of the durations. Pure."""

from __future__ import annotations

from functools import partial
from math import log

from modelwright.api.checks import TOO_FEW
from modelwright.checks.evidence import Interval
from modelwright.checks.quantiles import Histogram, Ratio, quantile, ratio_interval, samples_needed
from modelwright.checks.verdict import Demands, Details, Result, Verdict

TOO_SLOW, UNCLEAR, FAST_ENOUGH = "TooSlow", "IncreaseUnclear", "FastEnough"


def increase(
    metric: str, rank: float, judged: Histogram, stable: Histogram, most: float, demands: Demands
) -> Verdict:
    """Returns the verdict on a percentile of the durations of both revisions.

    `most`: by what share of the stable revision's percentile the judged one's may be larger. The check fails when a
    larger increase is shown, and passes when it is shown that the increase is not larger. Otherwise it is inconclusive:
    the two percentiles cannot be told apart that well with these samples, or with cells as wide as these.
    """
    factor, enough = 1 + most, log(1 / demands.alpha)
    samples = round(min(judged.samples, stable.samples))
    usual, value = quantile(stable, rank), quantile(judged, rank)
    threshold = None if usual is None else factor * usual
    if usual is None or value is None or threshold is None:
        return Verdict("Inconclusive", metric, TOO_FEW, 0, samples_needed=demands.min_samples)
    ratio, reverse = Ratio(judged, stable, rank), Ratio(stable, judged, rank)

    def details(result: Result) -> Details:
        around = ratio_interval(judged, stable, rank, demands.alpha)
        # The search for the end stops just below it.
        low = max(around.low, factor) if result == "Fail" else around.low
        unclear = result == "Inconclusive" and samples >= demands.min_samples
        needed = samples_needed(judged, stable, rank, factor, demands.alpha) if unclear else None
        return Details(Interval(usual * low, usual * around.high), needed)

    def verdict(result: Result, reason: str, needed: int | None = None, *, beyond: bool = False) -> Verdict:
        return Verdict(
            result,
            metric,
            reason,
            samples,
            value,
            threshold,
            samples_needed=needed,
            beyond=beyond,
            details=partial(details, result),
        )

    if ratio.evidence(factor) >= enough:
        return verdict("Fail", TOO_SLOW)
    if samples < demands.min_samples:
        return verdict("Inconclusive", TOO_FEW, demands.min_samples)
    if reverse.evidence(1 / factor) >= enough:
        return verdict("Pass", FAST_ENOUGH)
    return verdict("Inconclusive", UNCLEAR, beyond=value > threshold)
