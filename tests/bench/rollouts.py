"""Measures on the real cluster what a rollout costs its callers, and how long a bad version lasts. Run by `make bench`.

Callers of three kinds (HTTP on kept and on new connections, gRPC) call all the time. The seconds are of this machine
and of the holds below; the requests lost and the ratio of the percentiles are what counts anywhere.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.path import say
from support.kubectl import Kubectl, Object
from support.load import Callers, calling
from support.models import failing_on_data, valid_model
from support.operator import install
from support.rollouts import GOOD, NAME, REQUEST, publish, serve, service

ROUNDS = 3
CALM_SECONDS = 15
PAUSE_SECONDS = 0.005
STEPS = [{"weight": 10, "holdSeconds": 10}, {"weight": 50, "holdSeconds": 10}]


@dataclass
class Figures:
    """What the rounds have shown."""

    lost: int = 0
    answered: int = 0
    promoted: list[float] = field(default_factory=list)
    rolled_back: list[float] = field(default_factory=list)
    met: list[float] = field(default_factory=list)
    slower: dict[str, list[float]] = field(default_factory=dict)

    def compare(self, before: Mapping[str, float], during: Mapping[str, float]) -> None:
        """Keeps how the slowest hundredth of a shift stands to that before."""
        for kind in sorted(before.keys() & during.keys()):
            self.slower.setdefault(kind, []).append(during[kind] / before[kind])


def main() -> int:
    """Runs the rounds, each in a namespace of its own."""
    cluster = Kubectl("default")
    install(cluster)
    figures = Figures()
    for _ in range(ROUNDS):
        with _namespace(cluster) as kubectl:
            publish(kubectl, one=valid_model(), fails=failing_on_data(), two=GOOD["two"])
            address = serve(kubectl, "one")
            with calling(address, 80, 8081, NAME, REQUEST, pause=PAUSE_SECONDS) as callers:
                _promote(kubectl, callers, figures)
                _roll_back(kubectl, figures)
                _count(callers, figures)
    _tell(figures)
    return 1 if figures.lost else 0


@contextmanager
def _namespace(cluster: Kubectl) -> Iterator[Kubectl]:
    kubectl = Kubectl(f"bench-{uuid.uuid4().hex[:6]}")
    cluster.run("create", "namespace", kubectl.namespace)
    try:
        yield kubectl
    finally:
        cluster.run("delete", "namespace", kubectl.namespace, "--wait=false")


def _promote(kubectl: Kubectl, callers: Callers, figures: Figures) -> None:
    """A good version takes over; the shift lasts from its first share to the end of the old pods."""
    callers.seen()
    time.sleep(CALM_SECONDS)
    before = callers.seen()["p99Seconds"]
    began = time.perf_counter()
    kubectl.apply(_canary("two"))
    kubectl.wait("mwisvc", NAME, _shifts, within=120, what="shifting")
    callers.seen()
    kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=300)
    figures.promoted.append(time.perf_counter() - began)
    kubectl.wait("mwisvc", NAME, lambda found: "retired" not in found["status"], within=120)
    figures.compare(before, callers.seen()["p99Seconds"])


def _roll_back(kubectl: Kubectl, figures: Figures) -> None:
    """A version that fails every request is rolled back."""
    applied = time.perf_counter()
    kubectl.apply(_canary("fails"))
    kubectl.wait("mwisvc", NAME, _shifts, within=120, what="shifting")
    shared = time.perf_counter()
    kubectl.condition("mwisvc", NAME, "Stalled", "True", "RolledBack", within=300)
    over = time.perf_counter()
    figures.rolled_back.append(over - applied)
    figures.met.append(over - shared)


def _count(callers: Callers, figures: Figures) -> None:
    seen = callers.answered_everywhere()
    for failure in seen["failures"]:
        print(f"lost: {failure}")
    figures.answered += sum(seen["answered"].values())
    figures.lost += sum(seen["failed"].values())


def _canary(version: str) -> Object:
    return service(version, replicas=2, steps=STEPS, analysis={"minSamples": 100})


def _shifts(found: Object) -> bool:
    return (found["status"].get("canary") or {}).get("state") == "Shifting"


def _tell(figures: Figures) -> None:
    say("seconds from apply of a good version to its promotion", figures.promoted)
    say("seconds from apply of a bad version to its rollback", figures.rolled_back)
    say("seconds from its first share to its rollback", figures.met)
    for kind, ratios in figures.slower.items():
        say(f"p99 during a shift relative to before: {kind}", ratios)
    asked = figures.lost + figures.answered
    print(f"{'requests lost during promotions and rollbacks':<53} {figures.lost} of {asked}")


if __name__ == "__main__":
    sys.exit(main())
