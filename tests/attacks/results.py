"""What a run of the attacks has found, as one JSON document; and whether it is within the bounds."""

from __future__ import annotations

from bench.results import Found, Machine

RESIDENT_MIB = 300.0
SLOWER = 5.0
PROBE_SECONDS = 0.5
CALLERS = ("http", "grpc")
# Honest, too: an open connection, used too seldom for percentiles.
SELDOM = "seldom"


class Times(Found):
    """Requests of one kind: how many, seconds, and how those ended that were not answered as they should be."""

    requests: int
    p50: float
    p99: float
    highest: float
    failed: dict[str, int]


class Cost(Found):
    """What an attack costs the attacker."""

    sent: int
    received: int
    connections: int
    ends: dict[str, int]
    """How requests and connections ended, by status, error or GOAWAY."""


class Effect(Found):
    """One attack, and what it did."""

    name: str
    title: str
    model: str
    seconds: float
    cost: Cost
    killed: bool
    """The server ended: for want of memory, or by a defect."""
    resident_before_mib: float
    resident_mib: float
    """Peak of the process."""
    group_mib: float | None
    """Peak of the control group, with the kernel's buffers for sockets; None where none was made."""
    cpu_seconds: float
    quiet: dict[str, Times]
    during: dict[str, Times]
    """By who asked: `http`, `grpc`, or the name of a probe. A request counts where it began."""

    def slower(self, quiet: dict[str, Times] | None = None) -> float:
        """How many times the p99 of honest callers is that of quiet times; of HTTP or gRPC, whichever suffers more."""
        before = quiet or self.quiet
        return max(
            (
                self.during[who].p99 / before[who].p99
                for who in CALLERS
                if who in self.during and who in before
            ),
            default=0.0,
        )

    def failed(self) -> dict[str, int]:
        """Honest requests that were not answered, or wrongly."""
        return _sum([self.during[who].failed for who in (*CALLERS, SELDOM) if who in self.during])

    def wrong(self) -> int:
        return self.failed().get("wrong", 0)

    def slowest_probe(self) -> float:
        """Seconds."""
        return max(
            (one.highest for who, one in self.during.items() if who not in {*CALLERS, SELDOM}), default=0.0
        )

    def failed_probes(self) -> dict[str, int]:
        return _sum([one.failed for who, one in self.during.items() if who not in {*CALLERS, SELDOM}])

    def broken(self, quiet: dict[str, Times] | None = None) -> list[str]:
        """The bounds that it breaks."""
        found = {
            "killed": self.killed,
            "memory": self.resident_mib > RESIDENT_MIB,
            "p99": not self.killed and self.slower(quiet) > SLOWER,
            "failed": bool(self.failed()),
            "probe": self.slowest_probe() > PROBE_SECONDS or bool(self.failed_probes()),
        }
        return [what for what, so in found.items() if so]


class Attacked(Found):
    """One run."""

    date: str
    commit: str
    machine: Machine
    limit_mib: int
    limited: bool
    """Whether a control group kept the limit."""
    effects: list[Effect]

    def quiet(self, model: str) -> dict[str, Times]:
        """Of a model, over all its attacks: the medians, for single quiet times are short."""
        found = {}
        for who in CALLERS:
            many = [
                effect.quiet[who] for effect in self.effects if effect.model == model and who in effect.quiet
            ]
            if many:
                middle = sorted(many, key=lambda one: one.p99)[len(many) // 2]
                found[who] = middle
        return found


def _sum(many: list[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in many:
        for what, count in one.items():
            found[what] = found.get(what, 0) + count
    return found
