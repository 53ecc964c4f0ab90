"""The difference and the ratio of a metric of two models on the same rows, and their interval: the paired bootstrap.

Both are computed on the same resamples, so what makes a resample easy or hard for both does not count. A metric that
is the same in all resamples (each row right) is no surer than its few rows make it: there the interval is as wide as
that of a share of 0 or 1 on them."""

import numpy as np

from modelwright_training.judging import intervals
from modelwright_training.judging.gates.world import Resampled
from modelwright_training.judging.intervals import Interval
from modelwright_training.judging.scorers import Floats


def difference(some: Resampled, other: Resampled) -> tuple[float, Interval | None]:
    """The value of one less that of the other, and its interval; None where one of them has no resamples."""
    value, (draws, other_draws) = some.value - other.value, _both(some, other)
    ends = intervals.ends(draws - other_draws, value, min(some.units, other.units), constant=True)
    if ends is None:
        return value, None
    (below, above), (other_below, other_above) = _slack(some), _slack(other)
    # The difference is least where the other is largest.
    return value, (ends[0] - below - other_above, ends[1] + above + other_below)


def ratio(some: Resampled, other: Resampled) -> tuple[float, Interval | None]:
    """The value of one over that of the other, which is above 0, and its interval; None where one of them has no
    resamples."""
    value, (draws, other_draws) = some.value / other.value, _both(some, other)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(other_draws > 0, draws / other_draws, np.nan)
    return value, intervals.ends(ratios, value, min(some.units, other.units), constant=True)


def _both(some: Resampled, other: Resampled) -> tuple[Floats, Floats]:
    """As many resamples of each as both have: one may be too costly to draw, and of more rows there are fewer."""
    count = min(len(some.draws), len(other.draws))
    return some.draws[:count], other.draws[:count]


def _slack(found: Resampled) -> Interval:
    """How far the true value may be below and above one that no resample changes."""
    if not found.constant or found.exact is None:
        return 0.0, 0.0
    return found.value - found.exact[0], found.exact[1] - found.value
