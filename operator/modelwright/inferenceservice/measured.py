"""What the pods of a service have counted since its canary's step began: plain numbers, found by `measuring`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# What came of a delegated request through the canary's fault.
FAULTS = frozenset(("Failed", "Timeout", "Unreachable", "Broken", "Overloaded", "Rejected"))


@dataclass(frozen=True)
class Measured:
    """The counts of one step of one canary.

    `delegated`: requests that the stable revision's pods asked the canary to answer, by outcome. `shadowed`: the same
    for repeated ones. `durations`: seconds per request of each revision, as counts at or below each upper bound.
    `since`: the step that they were counted for, so that counts of another one are never taken for it.
    """

    since: str
    delegated: Mapping[str, int] = field(default_factory=dict)
    shadowed: Mapping[str, int] = field(default_factory=dict)
    labels: int = 0
    agreeing: int = 0
    non_finite: int = 0
    stable_durations: Mapping[float, float] = field(default_factory=dict)
    canary_durations: Mapping[float, float] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """Requests, delegated or repeated, whose outcome says something about the canary."""
        delegated = sum(count for outcome, count in self.delegated.items() if outcome != "Invalid")
        return delegated + sum(count for outcome, count in self.shadowed.items() if outcome != "Dropped")

    @property
    def faults(self) -> int:
        """Requests that the canary should have answered and did not."""
        delegated = sum(count for outcome, count in self.delegated.items() if outcome in FAULTS)
        return delegated + self.shadowed.get("Failed", 0)
