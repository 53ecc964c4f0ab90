"""The verdict of a check: Pass, Fail or Inconclusive, with its numbers. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from modelwright.api.phrases import around, counted, deciding
from modelwright.checks.evidence import Interval

# Inconclusive: there are no samples, or not enough for one of the others.
Result = Literal["Pass", "Fail", "Inconclusive"]


@dataclass(frozen=True)
class Demands:
    """What a check asks for before it decides."""

    # The probability that it fails at any look although its number is within the limit.
    alpha: float
    # Samples that it takes to pass.
    min_samples: int
    # Bad samples that it takes to fail.
    min_failures: int


@dataclass(frozen=True)
class Details:
    """The numbers of a verdict that take more time than the verdict."""

    # The confidence interval of the value. It holds at every look.
    interval: Interval | None = None
    # How many samples would decide, if the value does not change. None: it is decided, or unknown, or more than can be
    # waited for.
    samples_needed: int | None = None


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
    # As those of `Details`; None before `detailed`.
    interval: Interval | None = None
    samples_needed: int | None = None
    # Identifies the answer to a query that the value is from; None for numbers that pods count.
    look: int | None = None
    # There are enough samples, and the value is on the wrong side of its limit, though that is not proved.
    beyond: bool = False
    # Computes what `detailed` adds.
    details: Callable[[], Details] | None = field(default=None, compare=False, repr=False)

    def detailed(self) -> Verdict:
        """The verdict with its interval and the samples that would decide. For a record, not for each look."""
        if self.details is None:
            return self
        found = self.details()
        needed = found.samples_needed if self.samples_needed is None else self.samples_needed
        return replace(self, interval=found.interval, samples_needed=needed, details=None)


def overall(verdicts: list[Verdict]) -> Verdict:
    """Returns the verdict of several checks: the first that fails, else the first that is inconclusive, else a pass."""
    for result in ("Fail", "Inconclusive"):
        worst = next((verdict for verdict in verdicts if verdict.result == result), None)
        if worst is not None:
            return worst
    return verdicts[0]


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
    spread = "" if interval is None else around(interval.low, interval.high)
    limit = "" if threshold is None else f", the limit {threshold:.4g}"
    return f"{metric} is {known}{spread}{limit} ({counted(samples)}{deciding(samples_needed)})"
