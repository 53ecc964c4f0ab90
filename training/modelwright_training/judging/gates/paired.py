"""The difference between a metric of two models on the same rows, and its interval: the paired bootstrap.

Both are computed on the same resamples, so what makes a resample easy or hard for both does not count. A metric that
is the same in all resamples (each row right) is no surer than its few rows make it: there the interval is as wide as
that of a share of 0 or 1 on them."""

from modelwright_training.judging import intervals
from modelwright_training.judging.gates.world import Resampled
from modelwright_training.judging.intervals import Interval


def difference(some: Resampled, other: Resampled) -> tuple[float, Interval | None]:
    """The value of one less that of the other, and its interval; None where there are no resamples."""
    value, count = some.value - other.value, min(len(some.draws), len(other.draws))
    if not count:
        return value, None
    draws, units = some.draws[:count] - other.draws[:count], min(some.units, other.units)
    ends = intervals.ends(draws, value, units, constant=True)
    if ends is None:
        return value, None
    below, above = _slack(some)
    above_other, below_other = _slack(other)
    return value, (ends[0] - below - below_other, ends[1] + above + above_other)


def _slack(found: Resampled) -> Interval:
    """How far the true value may be below and above one that no resample changes."""
    if not found.constant or found.exact is None:
        return 0.0, 0.0
    return found.value - found.exact[0], found.exact[1] - found.value
