"""The counts of a canary that callers reach through a Gateway, in the form that `judge` takes. Pure.

Where the stable revision delegates requests, its pods count their outcomes. A Gateway sends requests to the canary
itself, so its own answers are counted: each is for a caller, or for the copied request of a shadow. No request is
answered by both, so the canary's rates can only be compared with those of the stable revision over the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from modelwright.inferenceservice.analysis.counts import (
    StepCounts,
    is_callers_fault,
    is_clusters_fault,
    is_own_fault,
)


@dataclass(frozen=True)
class OwnRates:
    """How many of a revision's own answers there are, how many of them are its fault, and how many refuse."""

    answers: int
    faults: int
    refused: int

    @property
    def requests(self) -> int:
        """The answers that are not refusals."""
        return self.answers - self.refused


def own_rates(answered: Mapping[str, int]) -> OwnRates:
    """Returns the rates of a revision's own answers, which are counted by status code."""
    return OwnRates(
        sum(answered.values()), _counted(answered, is_own_fault), _counted(answered, is_callers_fault)
    )


def by_own_answers(measured: StepCounts) -> StepCounts:
    """Returns the counts with `delegated` computed from the canary's own answers.

    Refusals are Invalid here: they may be right. `judge` compares their rate with the stable revision's.
    """
    own = own_rates(measured.answered)
    shadows = {
        outcome: measured.shadowed.get(outcome, 0) for outcome in ("Compared", "Incomparable", "Failed")
    }
    faults = max(0, own.faults - shadows["Failed"])
    overloaded = min(faults, _counted(measured.answered, is_clusters_fault))
    delegated = {
        "Answered": max(0, own.requests - own.faults - shadows["Compared"] - shadows["Incomparable"]),
        "Failed": faults - overloaded,
        "Overloaded": overloaded,
        "Invalid": own.refused,
    }
    return replace(measured, delegated={outcome: count for outcome, count in delegated.items() if count})


def _counted(answers: Mapping[str, int], kind: Callable[[str], bool]) -> int:
    return sum(count for code, count in answers.items() if kind(code))
