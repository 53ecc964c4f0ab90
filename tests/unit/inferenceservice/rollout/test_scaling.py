"""The number of pods may change at any time: no rollout is lost, begins a step again, or ends with too few pods."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from histories.world import World
from unit.given.resources import InferenceService, a_served_version, a_version
from unit.inferenceservice.rollout.test_canary import GOOD, a_canary, after, measures, rule
from unit.inferenceservice.rollout.test_steps import a_spec

from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout import steps

SEEDS = 150
MOST_LOOKS = 400
SAID = {"delegated": {"Answered": 10**5}, "answered": {"200": 10**5}, "shadowed": {"Compared": 10**4}}
STRATEGIES: dict[str, dict[str, Any]] = {
    "canary": {
        "steps": [
            {"weight": 0, "mirror": 20, "holdSeconds": 30},
            {"weight": 10, "holdSeconds": 30},
            {"weight": 60, "holdSeconds": 30},
        ]
    },
    "replace": {"strategy": "Replace"},
    "blue-green": {"strategy": "BlueGreen"},
}


class Scaled:
    """A service that serves churn-0 and is asked for churn-1, while an autoscaler changes its mind."""

    def __init__(self, seed: int, strategy: str, *, least: int) -> None:
        self.random, self.least = Random(seed), least
        rollout: dict[str, Any] = {**STRATEGIES[strategy], "bakeSeconds": self.random.choice((0, 60))}
        self.world = World(a_spec(replicas=self._number() or 1, progressDeadlineSeconds=120, **rollout))
        self.world.names(0)
        for look in range(3):
            self.world.all_ready()
            self.look(look)
        self.world.names(1)

    def _number(self) -> int:
        return self.random.randint(self.least, 10)

    def look(self, number: int) -> Revisions:
        """The operator looks."""
        self.world.measure(number, **SAID)
        observed, revisions = self.world.decide()
        self.world.remember(observed, revisions)
        return revisions

    def some_pods_start(self) -> None:
        """Of each revision, the stable one first: some of those that are asked for."""
        for pods in self.world.deployments.values():
            pods.ready = min(pods.asked, pods.ready + self.random.randint(0, 3))

    def lives(self) -> None:
        """Until the new version has taken over, with another number of pods at every other look."""
        measured = 0
        for number in range(10, MOST_LOOKS):
            before = self.world.status
            if number < MOST_LOOKS // 2 and self.random.random() < 0.5:
                self.world.scales(self._number())
            self.some_pods_start()
            revisions = self.look(number)
            self.holds(revisions)
            canary, earlier = revisions.canary, before.canary
            if canary is not None and earlier is not None and canary.step_since != earlier.step_since:
                measured += 1
                if self.least:
                    assert measured == (canary.step or 0) + 1, "a step began again"
            if revisions.stable is not None and revisions.stable.version == "churn-1":
                return
            self.world.after(self.random.choice((1, 5, 20)))
        raise AssertionError(f"it does not end: {self.world.status}")

    def holds(self, revisions: Revisions) -> None:
        """What must be so at each look."""
        wanted, asked = self.world.spec.replicas, self.world.deployments
        canary, stable, retired = revisions.canary, revisions.stable, revisions.retired
        assert stable is not None
        assert asked[stable.revision].asked == wanted
        if stable.version == "churn-1":
            assert asked[stable.revision].ready >= wanted, "it took over with too few pods"
            assert retired is not None
            assert asked[retired.revision].asked == wanted, "it could not go back"
            return
        assert canary is not None
        assert canary.state != "Failed", f"the canary was lost: {canary.reason}"
        needed = steps.replicas(canary, self.world.spec, beside=True)
        waits = steps.rests(canary) and not asked[stable.revision].ready
        assert asked[canary.revision].asked == (0 if waits else needed)
        if canary.state == "Shifting" and wanted:
            assert 1 <= needed <= wanted


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("least", [1, 0])
def test_a_rollout_takes_over_whatever_an_autoscaler_asks_for_meanwhile(strategy: str, least: int) -> None:
    for seed in range(SEEDS):
        Scaled(seed, strategy, least=least).lives()


def scaled(service: InferenceService, replicas: int) -> InferenceService:
    """Another number of pods is asked for."""
    return service.changes(replicas=replicas).settles()


def test_a_canary_gets_its_part_of_the_new_number_at_once_and_keeps_its_step_and_its_share() -> None:
    service = a_canary(replicas=10)
    before = service.part("canary")
    assert before is not None
    assert service.deployed == {service.revision("stable"): 10, service.revision("canary"): 1}

    scaled(service, 40)

    assert service.deployed == {service.revision("stable"): 40, service.revision("canary"): 4}
    now = service.part("canary")
    assert now is not None
    for kept in ("step", "stepSince", "measurement", "weight", "state"):
        assert now[kept] == before[kept]


def test_new_pods_of_a_canary_have_a_deadline_of_their_own() -> None:
    service = a_canary(replicas=10, progressDeadlineSeconds=100)
    service.world.after(90)
    scaled(service, 40)
    service.world.after(90)
    assert service.settles().status["canary"]["state"] == "Shifting"

    service.world.after(10)

    assert service.settles().status["canary"]["reason"] == "ProgressDeadlineExceeded"


def test_a_revision_that_never_gets_a_pod_is_given_up_however_often_the_number_changes() -> None:
    service = a_served_version(replicas=1, rollout={"progressDeadlineSeconds": 100})
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    for replicas in (2, 3, 4):
        service.world.after(34)
        scaled(service, replicas).has_ready(replicas, "stable").settles()

    assert service.status["canary"]["reason"] == "ProgressDeadlineExceeded"


def test_a_revision_that_was_given_up_is_not_tried_again_because_of_another_number_of_pods() -> None:
    service = a_served_version(replicas=1, rollout={"progressDeadlineSeconds": 100})
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    after(service, 101)
    assert service.status["canary"]["state"] == "Failed"

    scaled(service, 3)
    assert service.status["canary"]["state"] == "Failed"
    service.changes(autoscaling={"maxReplicas": 4}).settles()
    assert service.status["canary"]["state"] == "Failed"

    service.changes(server={"runSeconds": 20}).settles()
    assert service.status["canary"]["state"] == "Progressing"


def test_at_zero_a_step_rests_and_begins_again_once_its_pods_are_there() -> None:
    service = a_canary(replicas=10, analysis={"onNoData": "Rollback", "noDataSeconds": 60})
    measured = service.status["canary"]["measurement"]

    scaled(service, 0)
    assert service.deployed == {service.revision("stable"): 0, service.revision("canary"): 0}
    assert rule(service) is None
    service.has_ready(0, "stable").has_ready(0).settles()
    assert service.message == (
        "spec.replicas is 0: step 1 of 2 of ModelVersion churn-2 begins again when its pods are ready"
    )
    after(service, 9 * 3600)
    assert service.status["canary"]["state"] == "Shifting", "no data came because nothing ran"

    scaled(service, 10)
    assert service.deployed == {service.revision("stable"): 10, service.revision("canary"): 0}, (
        "the canary is not to answer everything because it is ready first"
    )
    service.has_ready(3, "stable").settles()
    assert service.deployed == {service.revision("stable"): 10, service.revision("canary"): 1}
    assert rule(service) is None, "nothing is there to ask"
    assert service.traffic == service.revision("stable")

    service.has_ready(10, "stable").has_ready(1).settles()

    canary = service.status["canary"]
    assert (canary["weight"], canary["measurement"]) == (10, measured + 1)
    found = rule(service)
    assert found is not None
    assert found["weight"] == 10
    measures(service, GOOD)
    after(service, 61)
    assert service.status["canary"]["step"] == 1


def test_a_resting_canary_does_not_wait_for_stable_pods_that_cannot_start() -> None:
    service = a_canary(replicas=2)
    scaled(service, 0).has_ready(0, "stable").has_ready(0).settles()
    scaled(service, 2)
    pod = service.starts("stable")
    pod.waits("server", "ImagePullBackOff")

    service.settles()

    assert service.deployed[service.revision("canary")] == 1


def test_what_can_be_gone_back_to_has_as_many_pods_as_what_serves() -> None:
    service = a_served_version(replicas=2, rollout={"scaleDownDelaySeconds": 300, "bakeSeconds": 300})
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    service.has_ready(2).settles()
    assert service.version("stable") == "churn-2"

    scaled(service, 5)

    assert service.deployed == {service.revision("stable"): 5, service.revision("retired"): 5}


def test_the_status_tells_autoscalers_which_pods_there_are_and_how_many_of_the_stable_revision() -> None:
    service = a_canary(replicas=4)

    assert service.status["selector"] == "modelwright.dev/inference-service=churn"
    assert (service.status["replicas"], service.status["readyReplicas"]) == (4, 4), "no pod of the canary"
