"""What the pods of a service have counted since its canary's step began: plain numbers, found by `measuring`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelwright.inferenceservice.analysis.prometheus_result import Reading

# What came of a delegated request through the canary's fault.
FAULTS = frozenset(("Failed", "Timeout", "Unreachable", "Broken", "Overloaded", "Rejected"))
# Names of gRPC's status codes that are a server's fault; of HTTP's it is those of 500 and above.
GRPC_FAULTS = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))


@dataclass(frozen=True)
class Measured:
    """The counts of one step of one canary.

    `delegated`: requests that the stable revision's pods asked the canary to answer, by outcome. `shadowed`: the same
    for repeated ones. `answered`: what the judged revision's own pods have answered, by HTTP status or gRPC status
    name; it is judged by that alone where callers reach it directly. `stable_answered`: the same of the other one.
    `durations`: seconds per request of each
    revision, as counts at or below each upper bound; `differences`: between its numbers and those of the stable one,
    the same way. `queries`: what Prometheus answered, by the query's name. `since`: the step that they were counted
    for, so that counts of another one are never taken for it. `look`: tells two looks with different counts apart.
    """

    since: str
    look: int = 0
    direct: bool = False
    delegated: Mapping[str, int] = field(default_factory=dict)
    shadowed: Mapping[str, int] = field(default_factory=dict)
    labels: int = 0
    agreeing: int = 0
    non_finite: int = 0
    answered: Mapping[str, int] = field(default_factory=dict)
    stable_answered: Mapping[str, int] = field(default_factory=dict)
    differences: Mapping[float, float] = field(default_factory=dict)
    stable_durations: Mapping[float, float] = field(default_factory=dict)
    canary_durations: Mapping[float, float] = field(default_factory=dict)
    queries: Mapping[str, Reading] = field(default_factory=dict)

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


def counted_since(measured: Measured | None, since: str | None) -> Measured | None:
    """What was counted since that moment; counts of another step are none of this one."""
    return measured if measured is not None and measured.since == since else None


def is_own_fault(code: str) -> bool:
    """Whether an answer with this HTTP or gRPC status is the server's failure."""
    return int(code) >= 500 if code.isdigit() else code in GRPC_FAULTS


def is_callers_fault(code: str) -> bool:
    """Whether an answer with this status says that the request is wrong."""
    succeeded = code.startswith("2") if code.isdigit() else code == "OK"
    return not succeeded and not is_own_fault(code)
