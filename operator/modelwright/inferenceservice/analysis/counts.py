"""What the pods of a service have counted since its canary's step began: plain numbers, found by `sampling`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelwright.inferenceservice.analysis.prometheus_result import Reading

# What came of a delegated request through the canary's fault.
FAULTS = frozenset(("Failed", "Timeout", "Unreachable", "Broken", "Overloaded", "Rejected"))
# Names of gRPC's status codes that are a server's fault; of HTTP's it is those of 500 and above.
GRPC_FAULTS = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))


@dataclass(frozen=True)
class Silence:
    """A revision with pods whose metrics could not be read for a while, and why: a phrase that does not change."""

    revision: str
    why: str


@dataclass(frozen=True)
class StepCounts:
    """The counts of one step of one canary, or of a revision that is baked."""

    # When the step began. Counts of another step are never taken for those of this one.
    since: str
    # Tells two looks with different counts apart.
    look: int = 0
    # Whether callers reach the judged revision by themselves. Then its own answers judge it, and nothing else.
    direct: bool = False
    # Requests that the stable revision's pods asked the judged one to answer, by outcome.
    delegated: Mapping[str, int] = field(default_factory=dict)
    # The same of requests that were repeated for comparison.
    shadowed: Mapping[str, int] = field(default_factory=dict)
    # Labels in compared answers, and those on which the revisions agree.
    labels: int = 0
    agreeing: int = 0
    # Numbers that are NaN or infinite in the judged revision's answers only.
    non_finite: int = 0
    # What the judged revision's own pods have answered, by HTTP status or by name of the gRPC status.
    answered: Mapping[str, int] = field(default_factory=dict)
    # The same of the stable revision's pods.
    stable_answered: Mapping[str, int] = field(default_factory=dict)
    # Differences between the numbers of two compared answers: how many are at or below each upper bound.
    differences: Mapping[float, float] = field(default_factory=dict)
    # Seconds per request of each revision, in the same form.
    stable_durations: Mapping[float, float] = field(default_factory=dict)
    canary_durations: Mapping[float, float] = field(default_factory=dict)
    # What Prometheus answered in this step, by the query's name.
    queries: Mapping[str, Reading] = field(default_factory=dict)
    # The revisions with pods that could not be asked. What those pods have counted is missing above.
    silent: tuple[Silence, ...] = ()

    @property
    def asked(self) -> int:
        """Requests, delegated or repeated or of its own, whose outcome says something about the judged revision."""
        if self.direct:
            return sum(count for code, count in self.answered.items() if not is_callers_fault(code))
        delegated = sum(count for outcome, count in self.delegated.items() if outcome != "Invalid")
        return delegated + sum(count for outcome, count in self.shadowed.items() if outcome != "Dropped")

    @property
    def faults(self) -> int:
        """Requests that it should have answered and did not."""
        if self.direct:
            return sum(count for code, count in self.answered.items() if is_own_fault(code))
        delegated = sum(count for outcome, count in self.delegated.items() if outcome in FAULTS)
        return delegated + self.shadowed.get("Failed", 0)


def counted_since(counted: StepCounts | None, since: str | None) -> StepCounts | None:
    """What was counted since that moment; None if the counts are those of another step."""
    return counted if counted is not None and counted.since == since else None


def is_own_fault(code: str) -> bool:
    """Whether an answer with this HTTP or gRPC status is the server's failure."""
    return int(code) >= 500 if code.isdigit() else code in GRPC_FAULTS


def is_callers_fault(code: str) -> bool:
    """Whether an answer with this status says that the request is wrong."""
    succeeded = code.startswith("2") if code.isdigit() else code == "OK"
    return not succeeded and not is_own_fault(code)
