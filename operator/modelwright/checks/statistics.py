"""Confidence intervals for proportions and quantiles. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt

# The standard normal quantile of a two-sided interval of 95 %.
Z = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


def share(hits: int, samples: int) -> Interval:
    """Returns the interval of a proportion: Wilson's score interval, which holds for few samples, and near 0 and 1.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927), 209-212.
    """
    if samples <= 0:
        return Interval(0.0, 1.0)
    observed = hits / samples
    scale = 1 + Z * Z / samples
    middle = (observed + Z * Z / (2 * samples)) / scale
    reach = Z * sqrt(observed * (1 - observed) / samples + Z * Z / (4 * samples * samples)) / scale
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


def total(buckets: Mapping[float, float]) -> float:
    """The number of samples in a histogram's buckets."""
    return buckets.get(inf, 0.0)


def quantile(buckets: Mapping[float, float], rank: float) -> float | None:
    """Returns the value that the proportion `rank` of the samples is below; None without samples.

    `buckets`: the number of samples at or below each upper bound, infinity included, as in a Prometheus histogram.
    Interpolates linearly within a bucket, as Prometheus' histogram_quantile does. Above the last finite bound it
    returns that bound.
    """
    samples = total(buckets)
    if samples <= 0:
        return None
    lower, before = 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= rank * samples and count > before:
            if bound == inf:
                return lower
            return min(bound, lower + (bound - lower) * (rank * samples - before) / (count - before))
        lower, before = (bound if bound != inf else lower), max(before, count)
    return lower


def quantile_interval(buckets: Mapping[float, float], rank: float) -> Interval | None:
    """Returns the interval of a quantile; None without samples.

    The number of samples below a quantile is binomial, so the interval of that proportion gives the ranks of its ends
    (W. J. Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2).
    """
    samples = total(buckets)
    if samples <= 0:
        return None
    ranks = share(round(rank * samples), round(samples))
    low, high = quantile(buckets, ranks.low), quantile(buckets, ranks.high)
    return None if low is None or high is None else Interval(low, high)
