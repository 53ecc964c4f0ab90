"""The counts of a service's pods since its canary's step began. Plain data, collected by `sampling`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelwright.checks.against_stable import Labels, Predicted
from modelwright.checks.quantiles import Cells
from modelwright.inferenceservice.analysis.prometheus_result import Reading

# Outcomes of delegated requests that are the canary's fault.
FAULTS = frozenset(("Failed", "Timeout", "Unreachable", "Broken", "Overloaded", "Rejected"))
# Outcomes of copied requests (shadow) that are its fault.
SHADOW_FAULTS = frozenset(("Failed", "Timeout", "Unreachable"))
# Those of both that are evidence about its model. The others may be the cluster's: the network, or too few pods.
MODEL_FAULTS = frozenset(("Failed", "Rejected"))
# Outcomes that say nothing about the canary: both revisions refused the request or failed on it, or the caller's own
# deadline was too short.
NOT_COUNTED = frozenset(("Invalid", "FailedAlike", "Hurried"))
# gRPC status codes that are the server's fault. Of HTTP status codes, those of 500 and above are.
GRPC_FAULTS = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))
# Those of both that mean a lack of capacity or time, which may be the cluster's fault.
CLUSTER_FAULTS = frozenset(("503", "504", "UNAVAILABLE", "DEADLINE_EXCEEDED"))
# The reason in `StepCounts.uncompared` for answers of servers of earlier releases, whose counters of labels and of
# non-finite numbers do not tell how many requests they are from.
SERVER_TOO_OLD = "ServerTooOld"


@dataclass(frozen=True)
class Silence:
    """A revision with pods whose metrics could not be read for a while. `why`: a constant phrase for messages."""

    revision: str
    why: str


@dataclass(frozen=True)
class StepCounts:
    """The counts of one step of a canary, or of a revision that bakes: the judged revision.

    `differences`, `stable_durations` and `canary_durations` are histograms: how many values are in each cell. The cell
    (lower, upper) counts values above `lower` (or equal, at 0) and up to `upper`, which may be infinite. Cells of
    servers of this release are fine, with a ratio of the bounds of at most 1.05; those of earlier releases are coarse,
    and both may overlap. So the exact values are unknown, but not their bounds: a comparison is sound if it takes each
    value at that end of its cell which speaks against the result.
    """

    # When the step began. It identifies the step.
    since: str
    # A number that changes whenever the counts do.
    look: int = 0
    # Callers reach the judged revision without the stable one, so it is judged by its own answers alone.
    direct: bool = False
    # Requests that the stable revision's pods delegated to the judged one, by outcome.
    delegated: Mapping[str, int] = field(default_factory=dict)
    # Requests that they copied to it for comparison (shadow), by outcome.
    shadowed: Mapping[str, int] = field(default_factory=dict)
    # Those of which nothing, or not every output, could be compared, by reason.
    uncompared: Mapping[str, int] = field(default_factory=dict)
    # Compared requests with labels, and the sum over them of the share of labels (0 to 1) that are equal in both.
    labelled: int = 0
    agreement: float = 0.0
    # Compared requests with a number that is NaN or infinite in the judged revision's answer, and none in the stable
    # one's.
    non_finite: int = 0
    # Requests that the judged revision's own pods answered, by HTTP status code or name of the gRPC status.
    answered: Mapping[str, int] = field(default_factory=dict)
    # The same of the stable revision's pods.
    stable_answered: Mapping[str, int] = field(default_factory=dict)
    # Requests that a revision which bakes refused, and that the retired revision answered.
    rescued: int = 0
    # The largest absolute difference between the numbers of two compared answers.
    differences: Cells = field(default_factory=dict)
    # The seconds per request.
    stable_durations: Cells = field(default_factory=dict)
    canary_durations: Cells = field(default_factory=dict)
    # Of labels that came back in this step, whoever got them: how many were right, and the sums of losses, by kind; of
    # the judged revision's model and of the stable one's. None if both revisions have one model.
    labels: Labels | None = field(default_factory=dict)
    stable_labels: Labels = field(default_factory=dict)
    # What both predicted for callers.
    predicted: Predicted = field(default_factory=Predicted)
    stable_predicted: Predicted = field(default_factory=Predicted)
    # The answers of Prometheus in this step, by the query's name.
    queries: Mapping[str, Reading] = field(default_factory=dict)
    # The revisions with pods whose metrics could not be read. Their counts are missing above.
    silent: tuple[Silence, ...] = ()
    # What has to be kept, so that a restarted operator goes on with these counts: the text that `kept_counts` makes.
    kept: str = ""

    @property
    def requests(self) -> int:
        """How many requests count for the judged revision: those that were not the caller's fault or dropped."""
        if self.direct:
            own = sum(count for code, count in self.answered.items() if not is_callers_fault(code))
            return own + self.rescued
        delegated = sum(count for outcome, count in self.delegated.items() if outcome not in NOT_COUNTED)
        return delegated + sum(count for outcome, count in self.shadowed.items() if outcome != "Dropped")

    @property
    def faults(self) -> int:
        """How many of these requests failed through its fault."""
        if self.direct:
            return self.rescued + sum(count for code, count in self.answered.items() if is_own_fault(code))
        delegated = sum(count for outcome, count in self.delegated.items() if outcome in FAULTS)
        return delegated + sum(count for outcome, count in self.shadowed.items() if outcome in SHADOW_FAULTS)

    @property
    def model_faults(self) -> int:
        """How many of the faults are evidence about the model of the judged revision, not about the cluster."""
        if self.direct:
            clusters = sum(count for code, count in self.answered.items() if is_clusters_fault(code))
            return self.faults - clusters
        delegated = sum(count for outcome, count in self.delegated.items() if outcome in MODEL_FAULTS)
        return delegated + self.shadowed.get("Failed", 0)


def has_grown(before: StepCounts, now: StepCounts, least: float) -> bool:
    """True if any number of requests, by outcome, code or reason, has grown by more than this share of itself."""
    pairs: list[tuple[float, float]] = [
        (getattr(before, name), getattr(now, name)) for name in ("labelled", "non_finite", "rescued")
    ]
    pairs.append((before.predicted.requests, now.predicted.requests))
    for name in ("delegated", "shadowed", "uncompared", "answered", "stable_answered", "stable_labels"):
        earlier, later = getattr(before, name), getattr(now, name)
        pairs += ((earlier.get(key, 0), count) for key, count in later.items())
    pairs += (((before.labels or {}).get(key, 0), count) for key, count in (now.labels or {}).items())
    return any(later > earlier * (1 + least) for earlier, later in pairs)


def counted_since(counts: StepCounts | None, since: str | None) -> StepCounts | None:
    """The counts, if they are of the step that began then; else None."""
    return counts if counts is not None and counts.since == since else None


def is_own_fault(code: str) -> bool:
    """True if this HTTP or gRPC status code is the server's fault."""
    return int(code) >= 500 if code.isdigit() else code in GRPC_FAULTS


def is_clusters_fault(code: str) -> bool:
    """True if this HTTP or gRPC status code is the server's fault, but may be due to the cluster."""
    return code in CLUSTER_FAULTS


def is_callers_fault(code: str) -> bool:
    """True if this HTTP or gRPC status code is the caller's fault."""
    succeeded = code.startswith("2") if code.isdigit() else code == "OK"
    return not succeeded and not is_own_fault(code)
