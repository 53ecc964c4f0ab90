"""Everything around a canary breaks: the operator is killed, pods and nodes go, an image is missing. Callers go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.kubectl import Kubectl, Object, condition, message
from support.load import calling
from support.models import valid_model
from support.operator import NAMESPACE, give_up_the_lease, install, leader, replaced
from support.processes import kill_operator
from support.rollouts import (
    FOR_EVER,
    GOOD,
    MARKS,
    NAME,
    REQUEST,
    asks,
    is_tidy,
    publish,
    serve,
    service,
    verdicts,
    waits_for_weight,
)
from support.turn import turn
from support.watching import watching

pytestmark = [*MARKS, pytest.mark.alone]


@pytest.fixture
def served(kubectl: Kubectl) -> str:
    """Version `one` has the traffic of two pods, another one is there; gives the Service's address."""
    publish(kubectl, one=valid_model(), two=GOOD["two"])
    return serve(kubectl)


class Killer:
    """Ends the operator that is in charge each time when a rollout has come a step further."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self.moments: list[str] = []
        self.deployments: set[tuple[str, str]] = set()

    def __call__(self, found: Object) -> None:
        moment = where(found.get("status", {}))
        if moment not in self.moments:
            self.moments.append(moment)
            self._kill()
        for deployment in self._kubectl.all("deployment"):
            self.deployments.add((deployment["metadata"]["name"], deployment["metadata"]["uid"]))

    def _kill(self) -> None:
        kill_operator(NAMESPACE, leader())
        give_up_the_lease()


def where(status: Object) -> str:
    """How far a rollout has come, in words."""
    stable, canary = status.get("stable", {}), status.get("canary", {})
    bakes = "baking" if "bakeUntil" in stable else "baked"
    if not canary:
        return f"{stable.get('version')} serves, {bakes}"
    return f"{canary['version']} {canary['state']} {canary.get('step')} {canary.get('weight')}"


def test_killed_at_every_step_the_operator_comes_to_the_same_end(kubectl: Kubectl, served: str) -> None:
    killer = Killer(kubectl)
    with calling(served, 80, 8081, NAME, REQUEST) as callers:
        try:
            with watching(kubectl, NAME, killer):
                kubectl.apply(service("two", replicas=2, bakeSeconds=2))
                done = kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=240)
        finally:
            replaced()
        is_tidy(kubectl)
        callers.answered_everywhere()
        seen = callers.stop()

    print(killer.moments)
    assert seen["failed"] == {}, seen
    reached = {
        "two Progressing None None",
        "two Shifting 0 10",
        "two Shifting 1 50",
        "two Completing 1 50",
        "two serves, baking",
    }
    assert reached <= set(killer.moments)
    assert done["status"]["stable"]["version"] == "two"
    assert verdicts(done) == [("Advance", 0), ("Promote", 1)], "no step twice"
    assert len(killer.deployments) == 2, killer.deployments


def test_pods_that_go_while_no_node_takes_new_ones_cost_no_request(kubectl: Kubectl, served: str) -> None:
    half = [{"weight": 50, "holdSeconds": FOR_EVER}]
    with calling(served, 80, 8081, NAME, REQUEST) as callers:
        kubectl.apply(service("two", replicas=2, steps=half))
        status = waits_for_weight(kubectl, 50)["status"]
        first, second = sorted(pods(kubectl, status["stable"]["revision"]))
        with cordoned(kubectl):
            kubectl.run("delete", "pod", first, timeout=60)
            callers.answered_everywhere()
            waiting = kubectl.get("mwisvc", NAME)
            assert waiting["status"]["readyReplicas"] == 1
            assert condition(waiting, "Available")["status"] == "True"  # type: ignore[index]
        kubectl.wait("mwisvc", NAME, lambda found: found["status"]["readyReplicas"] == 2, what="whole again")
        kubectl.run("delete", "pod", second, timeout=60)
        kubectl.wait("mwisvc", NAME, lambda found: found["status"]["readyReplicas"] == 2, what="whole again")
        asks(kubectl, "promote-full", status["canary"]["revision"])
        done = kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=60)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert done["status"]["stable"]["version"] == "two"


def test_an_upgrade_to_an_image_that_is_missing_leaves_what_serves_alone(
    kubectl: Kubectl, served: str
) -> None:
    kubectl.apply(service("one", replicas=2, progressDeadlineSeconds=10))
    with calling(served, 80, 8081, NAME, REQUEST) as callers:
        try:
            install(Kubectl("default"), "servingImage.tag=missing", "workloads.serving.imagePolicy=Now")
            refused = kubectl.condition("mwisvc", NAME, "Ready", "False", "ImagePullFailed", within=60)
        finally:
            install(Kubectl("default"))
        kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=60)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert "check its name and its pull secret" in message(refused)
    assert refused["status"]["stable"]["version"] == "one"


@contextmanager
def cordoned(kubectl: Kubectl) -> Iterator[None]:
    """No node takes new pods."""
    turn.exclusive()
    nodes = [node["metadata"]["name"] for node in kubectl.all("node")]
    try:
        kubectl.run("cordon", *nodes)
        yield
    finally:
        kubectl.run("uncordon", *nodes)


def pods(kubectl: Kubectl, revision: str) -> list[str]:
    selector = f"modelwright.dev/revision={revision}"
    return [pod["metadata"]["name"] for pod in kubectl.all("pod", selector)]
