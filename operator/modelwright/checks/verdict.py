"""The verdict of a check: Pass, Fail or Inconclusive, with its numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelwright.checks.statistics import Interval

# Inconclusive: there are no samples, or not enough for one of the others.
Result = Literal["Pass", "Fail", "Inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """The verdict of one check. `value`, `interval` and `threshold` are in the unit of `metric`."""

    result: Result
    metric: str
    # In CamelCase, as reasons of conditions are.
    reason: str
    # The number of samples behind the value.
    samples: int
    value: float | None = None
    threshold: float | None = None
    # The confidence interval of the value.
    interval: Interval | None = None
    # How many samples would decide, if the value does not change.
    samples_needed: int | None = None
    # Identifies the answer to a query that the value is from; None for numbers that pods count.
    look: int | None = None


def verdict_text(
    metric: str,
    value: float | None,
    threshold: float | None,
    samples: int,
    interval: Interval | None = None,
    samples_needed: int | None = None,
) -> str:
    """Returns the numbers of a verdict as text."""
    known = "unknown" if value is None else f"{value:.4g}"
    around = "" if interval is None else f" ({interval.low:.4g} to {interval.high:.4g})"
    limit = "" if threshold is None else f", the limit {threshold:.4g}"
    counted = "1 sample" if samples == 1 else f"{samples} samples"
    needed = "" if samples_needed is None else f", about {samples_needed} would decide"
    return f"{metric} is {known}{around}{limit} ({counted}{needed})"
