"""The check of an increase of a percentile of the durations. Pure."""

from __future__ import annotations

from functools import partial
from math import log

from modelwright.api.checks import TOO_FEW
from modelwright.checks.evidence import Interval
from modelwright.checks.quantiles import Histogram, Ratio, quantile, ratio_interval, samples_needed
from modelwright.checks.verdict import Demands, Details, Verdict

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
    verdict = partial(Verdict, metric=metric, samples=samples, value=value, threshold=threshold)
    if Ratio(judged, stable, rank).evidence(factor) >= enough:
        details = partial(_details, judged, stable, rank, factor, usual, demands, failed=True)
        return verdict(result="Fail", reason=TOO_SLOW, details=details)
    details = partial(_details, judged, stable, rank, factor, usual, demands, failed=False)
    if samples < demands.min_samples:
        needed = demands.min_samples
        return verdict(result="Inconclusive", reason=TOO_FEW, samples_needed=needed, details=details)
    if Ratio(stable, judged, rank).evidence(1 / factor) >= enough:
        return verdict(result="Pass", reason=FAST_ENOUGH, details=details)
    return verdict(result="Inconclusive", reason=UNCLEAR, beyond=value > threshold, details=details)


def _details(
    judged: Histogram,
    stable: Histogram,
    rank: float,
    factor: float,
    usual: float,
    demands: Demands,
    *,
    failed: bool,
) -> Details:
    """The interval of the ratio of both percentiles, in seconds: `usual` times that. `failed`: above `factor`."""
    ratio = ratio_interval(judged, stable, rank, demands.alpha)
    low = max(ratio.low, factor) if failed else ratio.low
    needed = samples_needed(judged, stable, rank, factor, demands.alpha)
    if needed is not None:
        needed = max(needed, demands.min_samples)
    return Details(Interval(usual * low, usual * ratio.high), needed)
