"""What a run of the scale bench found, as one JSON document. Requests are counted by verb and resource."""

from __future__ import annotations

from bench.results import Found, Machine


class Measured(Found):
    """When a scenario was measured, of which commit, and the machine's load average before and after."""

    date: str
    commit: str
    load_before: float
    load_after: float


class Phase(Found):
    """The time until a number of objects were Ready and the operator was quiet, and what that took."""

    objects: int
    seconds: float
    cpu_seconds: float
    requests: dict[str, int]
    """About these objects and what belongs to them."""
    others: dict[str, int]
    """About everything else."""
    refused: dict[str, int]

    @property
    def each(self) -> float:
        """Requests for each object."""
        return sum(self.requests.values()) / self.objects


class Idle(Found):
    """A while in which nothing changed."""

    seconds: float
    cpu_seconds: float
    writes: int
    reads: int


class Start(Found):
    """A start of the operator beside objects that are as they should be."""

    ready_seconds: float
    """From exec until everything was listed and it led."""
    quiet_seconds: float
    """From exec until its queue was empty."""
    cpu_seconds: float
    writes: int
    reads: int
    longest_block: float
    """Seconds that a probe waited at most."""
    longest_busy: float
    """CPU seconds of the event loop within one probe at most."""
    resident_mib: float


class Convergence(Found):
    """Many services and versions, from nothing to Ready."""

    services: int
    versions: int
    namespaces: int
    version_phase: Phase | None
    """None if the versions were made with a status that was ready."""
    service_phase: Phase
    resident_mib: float
    highest_mib: float
    idle: Idle
    start: Start
    change_seconds: list[float]
    """From one change of a spec to its new Deployment."""
    lease_gap_seconds: float
    """The longest time between two renewals of the Lease."""
    measured: Measured


class Crowd(Found):
    """Many versions and services in one namespace, and what single events cost."""

    services: int
    versions: int
    first_start: Start
    """With the versions alone."""
    service_phase: Phase
    start: Start
    """With everything."""
    service_event_ms: float
    """CPU for each event of a service."""
    version_event_ms: float
    resident_mib: float
    measured: Measured


class Canaries(Found):
    """Rollouts whose pods are asked for their metrics all at once."""

    services: int
    pods: int
    seconds: float
    cpu_share: float
    """Of a core, over all of the time."""
    quiet_share: float
    """The same before the rollouts began."""
    answers: float
    unanswered: float
    rounds: float
    exposition_bytes: int
    writes: int
    measured: Measured


class Scale(Found):
    """The scenarios that were measured, each with its last run."""

    quick: bool
    machine: Machine
    thousand: Convergence | None = None
    crowd: Crowd | None = None
    canaries: Canaries | None = None
    many: Convergence | None = None
