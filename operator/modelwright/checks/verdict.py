"""The one vocabulary of verdicts: of gates, of a canary's analysis, of drift. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelwright.checks.statistics import Interval

# Inconclusive: the samples allow neither of the others yet, or there are none.
Result = Literal["Pass", "Fail", "Inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """What one check says, and the numbers behind it: `value`, `interval` and `threshold` in the unit of `metric`."""

    result: Result
    metric: str
    # One word in CamelCase for a condition.
    reason: str
    # How many samples the value was found from.
    samples: int
    value: float | None = None
    threshold: float | None = None
    # Where the true value lies, as far as the samples tell.
    interval: Interval | None = None
    # How many samples would decide if the value stayed as it is.
    samples_needed: int | None = None
    # Tells two answers of one query apart; None where the numbers are those that pods count.
    look: int | None = None


def words(
    metric: str,
    value: float | None,
    threshold: float | None,
    samples: int,
    interval: Interval | None = None,
    samples_needed: int | None = None,
) -> str:
    """The numbers of a verdict, for people."""
    known = "unknown" if value is None else f"{value:.4g}"
    around = "" if interval is None else f" ({interval.low:.4g} to {interval.high:.4g})"
    limit = "" if threshold is None else f", the limit {threshold:.4g}"
    counted = "1 sample" if samples == 1 else f"{samples} samples"
    needed = "" if samples_needed is None else f", about {samples_needed} would decide"
    return f"{metric} is {known}{around}{limit} ({counted}{needed})"
