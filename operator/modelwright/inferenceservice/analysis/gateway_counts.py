"""The counts of a canary that callers reach through a Gateway, in the form that `judge` takes. Pure.

Where the stable revision delegates requests, its pods count their outcomes. A Gateway sends requests to the canary
itself, so its own answers are counted: each is for a caller, or for the copied request of a shadow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil

from modelwright.checks import statistics
from modelwright.inferenceservice.analysis.counts import StepCounts, is_callers_fault, is_own_fault


def by_own_answers(measured: StepCounts) -> StepCounts:
    """Returns the counts with `delegated` computed from the canary's own answers.

    An answer that blames the caller may be right. Only those in excess of the stable revision's share of such answers,
    taken at the upper end of its confidence interval, count against the canary.
    """
    faults = _counted(measured.answered, is_own_fault)
    refused = _counted(measured.answered, is_callers_fault)
    answers = sum(measured.answered.values())
    stable = sum(measured.stable_answered.values())
    usual = ceil(
        statistics.share(_counted(measured.stable_answered, is_callers_fault), stable).high * answers
    )
    rejected = max(0, refused - usual)
    shadows = {
        outcome: measured.shadowed.get(outcome, 0) for outcome in ("Compared", "Incomparable", "Failed")
    }
    delegated = {
        "Answered": max(0, answers - faults - refused - shadows["Compared"] - shadows["Incomparable"]),
        "Failed": max(0, faults - shadows["Failed"]),
        "Rejected": rejected,
        "Invalid": refused - rejected,
    }
    return replace(measured, delegated={outcome: count for outcome, count in delegated.items() if count})


def _counted(answers: Mapping[str, int], kind: Callable[[str], bool]) -> int:
    return sum(count for code, count in answers.items() if kind(code))
