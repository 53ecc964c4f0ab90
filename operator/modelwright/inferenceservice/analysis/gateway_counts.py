"""What a canary's own pods have counted, in the words of the analysis: callers reach it by a Gateway. Pure.

Where the stable revision delegates, its pods count what came of it. A Gateway's callers ask the canary itself, and so
its own answers count: each was for a caller, or for the repeated request of a shadow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil

from modelwright.checks import statistics
from modelwright.inferenceservice.analysis.counts import StepCounts, is_callers_fault, is_own_fault


def told_by_itself(measured: StepCounts) -> StepCounts:
    """The counts of the step, with the canary's own answers in place of what others have seen of it.

    A request that the canary refuses may be wrong. It is the canary's fault as far as it refuses more of them than the
    stable revision would of as many, at the upper end of that share's interval.
    """
    faults = _counted(measured.answered, is_own_fault)
    refused = _counted(measured.answered, is_callers_fault)
    asked = sum(measured.answered.values())
    stable = sum(measured.stable_answered.values())
    usual = ceil(statistics.share(_counted(measured.stable_answered, is_callers_fault), stable).high * asked)
    rejected = max(0, refused - usual)
    shadows = {
        outcome: measured.shadowed.get(outcome, 0) for outcome in ("Compared", "Incomparable", "Failed")
    }
    delegated = {
        "Answered": max(0, asked - faults - refused - shadows["Compared"] - shadows["Incomparable"]),
        "Failed": max(0, faults - shadows["Failed"]),
        "Rejected": rejected,
        "Invalid": refused - rejected,
    }
    return replace(measured, delegated={outcome: count for outcome, count in delegated.items() if count})


def _counted(answers: Mapping[str, int], kind: Callable[[str], bool]) -> int:
    return sum(count for code, count in answers.items() if kind(code))
