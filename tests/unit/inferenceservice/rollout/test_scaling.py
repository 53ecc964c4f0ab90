"""The number of pods may change at any time: no rollout is lost, begins a step again, or ends with too few pods."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil
from random import Random
from typing import Any

import pytest
from histories.world import World
from unit.given.resources import InferenceService, a_served_version, a_service, a_version, a_world
from unit.inferenceservice.rollout.test_canary import BAD, GOOD, a_canary, after, measures, rule
from unit.inferenceservice.rollout.test_steps import a_spec
from unit.inferenceservice.test_requests import asks

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


def test_the_status_tells_autoscalers_how_many_pods_the_stable_revision_has() -> None:
    service = a_canary(replicas=4)

    assert (service.status["replicas"], service.status["readyReplicas"]) == (4, 4), "no pod of the canary"


SELECTOR = re.compile(r"modelwright\.dev/inference-service=churn,modelwright\.dev/revision in \(([\w,]+)\)")
TARGET, TOLERANCE = 65, 0.1


def counted(service: InferenceService) -> list[str]:
    """The parts whose pods an autoscaler counts."""
    found = SELECTOR.fullmatch(service.status["selector"])
    assert found is not None, service.status["selector"]
    parts = {service.revision(part): part for part in ("stable", "canary", "retired") if service.part(part)}
    return [parts[revision] for revision in found[1].split(",")]


def autoscaler(current: int, uses: list[int], target: int = TARGET) -> int:
    """What a HorizontalPodAutoscaler comes to for ready pods that use so many percent of their requests:
    GetResourceReplicas of k8s.io/kubernetes pkg/controller/podautoscaler/replica_calculator.go."""
    ratio = sum(uses) // len(uses) / target
    return current if abs(ratio - 1) <= TOLERANCE else ceil(ratio * len(uses))


def by_load(service: InferenceService, load: int) -> tuple[int, list[int]]:
    """What the autoscaler comes to while the pods use so much together, and what each pod uses that it counts."""
    canary = service.part("canary") or {}
    share = 100 if canary.get("standInSince") else canary.get("weight") or 0
    shares = {"stable": 100 - share, "canary": share, "retired": 0}
    uses: list[int] = []
    for part in counted(service):
        pods = service.deployed[service.revision(part)]
        uses += [load * shares[part] // 100 // pods] * pods
    return autoscaler(service.body["spec"]["replicas"], uses), uses


def by_memory(service: InferenceService, used: int) -> int:
    """What an autoscaler comes to by a metric that is the same for each pod, busy or idle."""
    pods = sum(service.deployed[service.revision(part)] for part in counted(service))
    return autoscaler(service.body["spec"]["replicas"], [used] * pods)


def starting(**rollout: Any) -> InferenceService:
    """churn-1 serves with 4 pods, and the pods of churn-2 start."""
    service = a_served_version(replicas=4, rollout={"scaleDownDelaySeconds": 3600, **rollout})
    a_version(service.world, "churn-2", "b").is_verified("b")
    return service.changes(model={"version": "churn-2"}).settles()


def phases(rollout: dict[str, Any]) -> Iterator[tuple[str, InferenceService]]:
    """A rollout from its begin to its end."""
    service = starting(**rollout)
    while (canary := service.part("canary")) is not None:
        yield f"{canary['state']} with {canary.get('weight') or 0} %, before its pods are ready", service
        service.has_ready(service.deployed[service.revision("canary")]).settles()
        if (canary := service.part("canary")) is None:
            break
        yield f"{canary['state']} with {canary.get('weight') or 0} %", service
        measures(service, GOOD)
        after(service, 121)
    assert service.version("retired") == "churn-1"
    yield "the retired revision is still there", service


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_autoscaler_finds_the_whole_load_in_each_phase_of_a_rollout(strategy: str) -> None:
    seen = 0
    for phase, service in phases(STRATEGIES[strategy]):
        seen += 1
        for needed in (1, 2, 4, 8, 12):
            load = needed * TARGET
            found, uses = by_load(service, load)
            # Where the pods that carry it are about at the target, they are left as they are.
            kept = found == 4 and abs(sum(uses) / len(uses) / TARGET - 1) <= TOLERANCE + 1 / TARGET
            assert found == needed or kept, f"{phase}: {found} pods for the load of {needed}, of {uses}"
            if kept and found != needed:
                assert len(counted(service)) == 2, f"{phase}: idle pods hide the load"
    assert seen >= 2


@pytest.mark.parametrize("strategy", ["replace", "blue-green"])
def test_pods_beside_the_load_hide_none_and_add_none(strategy: str) -> None:
    for phase, service in phases(STRATEGIES[strategy]):
        assert counted(service) == ["stable"], phase
        assert by_load(service, 8 * TARGET)[0] == 8, phase
        assert by_memory(service, 50) <= 4, phase


def test_the_pods_that_an_autoscaler_counts_change_at_the_begin_and_the_end_of_a_share_only() -> None:
    service = starting(
        strategy="Canary",
        steps=[
            {"weight": 0, "mirror": 20, "holdSeconds": 60},
            {"weight": 10, "holdSeconds": 60},
            {"weight": 60, "holdSeconds": 60},
        ],
    )
    assert counted(service) == ["stable"], "its pods start"
    service.has_ready(1).settles()
    assert service.status["canary"]["state"] == "Shifting"
    assert counted(service) == ["stable"], "it answers no request"

    step = {}
    for _ in range(3):
        measures(service, GOOD, shadowed={"Compared": 1000})
        after(service, 61)
        service.has_ready(service.deployed[service.revision("canary")]).settles()
        canary = service.part("canary")
        step[canary["weight"] if canary else None] = counted(service)

    assert step == {10: ["stable", "canary"], 60: ["stable", "canary"], None: ["stable"]}
    assert service.version("stable") == "churn-2"


def test_pods_of_a_canary_that_was_given_up_are_not_counted() -> None:
    service = a_canary(replicas=4)
    assert counted(service) == ["stable", "canary"]

    measures(service, BAD).settles()

    assert service.status["canary"]["state"] == "Failed"
    assert counted(service) == ["stable"]

    kept = starting(progressDeadlineSeconds=100)
    after(kept, 101)
    assert kept.status["canary"]["state"] == "Failed"
    assert kept.deployed[kept.revision("canary")] == 1, "kept for its log"
    assert counted(kept) == ["stable"]


def test_a_canary_that_stands_in_is_counted() -> None:
    service = a_canary(replicas=4).has_ready(0, "stable").settles()

    assert service.status["canary"]["standInSince"]
    assert counted(service) == ["stable", "canary"]


def test_at_zero_a_canary_is_counted_again_with_its_share() -> None:
    service = a_canary(replicas=10)
    scaled(service, 0)
    assert counted(service) == ["stable"]

    scaled(service, 10).has_ready(10, "stable").settles().has_ready(1).settles()

    assert counted(service) == ["stable", "canary"]


def test_the_first_revision_is_counted_from_its_start_and_before_it_no_pod_is() -> None:
    world = a_world()
    service = a_service(world)
    service.settles()
    assert service.status["selector"] == ("modelwright.dev/inference-service=churn,!modelwright.dev/revision")

    a_version(world).is_verified()
    service.settles()

    assert counted(service) == ["canary"]


ROLLOUTS: dict[str, dict[str, Any]] = {**STRATEGIES, "replace": {"strategy": "Replace", "bakeSeconds": 60}}


def an_untried_canary(strategy: str, *, replicas: int = 2) -> InferenceService:
    """One of churn-2 beside churn-1, without a pod that has been ready."""
    service = a_served_version(
        replicas=replicas, rollout={**ROLLOUTS[strategy], "progressDeadlineSeconds": 400}
    )
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    assert service.status["canary"]["state"] == "Progressing"
    return service


def without_pods(service: InferenceService) -> InferenceService:
    """Scaled to zero, and all pods are gone."""
    return scaled(service, 0).has_ready(0, "stable").has_ready(0).settles()


@pytest.mark.parametrize("strategy", ROLLOUTS)
def test_at_zero_a_version_that_has_not_been_ready_rests_and_goes_on_behind_the_stable_one(
    strategy: str,
) -> None:
    service = an_untried_canary(strategy)
    after(service, 300)

    without_pods(service)

    assert (service.version("stable"), service.version("canary")) == ("churn-1", "churn-2")
    assert set(service.deployed.values()) == {0}
    assert service.status["canary"]["verdict"] == "ScaledToZero"
    assert service.message == (
        "spec.replicas is 0: ModelVersion churn-2 has not been ready, and starts again with pods of "
        "ModelVersion churn-1"
    )
    written = len(service.world.api.calls)
    after(service, 9 * 3600)
    assert service.version("canary") == "churn-2"
    assert len(service.world.api.calls) == written, "what rests is not written"

    scaled(service, 2)
    assert service.deployed == {service.revision("stable"): 2, service.revision("canary"): 0}
    assert service.message == "ModelVersion churn-2 starts when a pod of ModelVersion churn-1 is ready"
    after(service, 500)
    assert service.status["canary"]["state"] == "Progressing", "it has no pods that could be late"

    service.has_ready(1, "stable").settles()
    assert service.deployed[service.revision("canary")] > 0
    assert "verdict" not in service.status["canary"]
    service.has_ready(2, "stable").settles()
    after(service, 380)
    assert service.status["canary"]["state"] == "Progressing"
    after(service, 20)
    assert service.status["canary"]["reason"] == "ProgressDeadlineExceeded"
    assert (service.version("stable"), "lastDecision" in service.status) == ("churn-1", False)


def test_what_rested_takes_over_when_its_pods_are_ready() -> None:
    service = without_pods(an_untried_canary("replace"))
    scaled(service, 2).has_ready(2, "stable").settles()
    assert service.version("stable") == "churn-1"

    service.has_ready(2).settles()

    assert service.version("stable") == "churn-2"


def test_what_rests_does_not_wait_for_stable_pods_that_cannot_start() -> None:
    service = without_pods(an_untried_canary("replace"))
    scaled(service, 2)
    service.starts("stable").waits("server", "ImagePullBackOff")

    service.settles()

    assert service.deployed[service.revision("canary")] == 2


def test_zero_again_before_the_stable_pods_are_ready_changes_nothing() -> None:
    service = without_pods(an_untried_canary("canary"))
    for _ in range(3):
        scaled(service, 2)
        without_pods(service)

    assert (service.version("stable"), service.version("canary")) == ("churn-1", "churn-2")


def test_a_request_that_comes_with_zero_does_not_keep_it_from_resting() -> None:
    service = an_untried_canary("replace").changes(replicas=0)

    asks(service, "pause")
    service.has_ready(0, "stable").has_ready(0).settles()

    assert (service.version("stable"), service.version("canary")) == ("churn-1", "churn-2")


@pytest.mark.parametrize("strategy", ROLLOUTS)
def test_a_version_that_arrives_at_zero_takes_over_and_a_decision_says_that_it_was_not_tried(
    strategy: str,
) -> None:
    service = an_untried_canary(strategy)
    without_pods(service)
    a_version(service.world, "churn-3", "c").is_verified("c")

    service.changes(model={"version": "churn-3"}).settles()
    service.has_ready(0).settles()

    assert service.version("stable") == "churn-3"
    decision = service.status["lastDecision"]
    assert (decision["verdict"], decision["reason"]) == ("Promote", "ScaledToZero")
    said = f"spec.replicas is 0: revision {decision['revision']} takes over without having been tried"
    assert said in [event.message for event in service.world.told.events if event.reason == "CanaryPromoted"]


@pytest.mark.parametrize("how", ["in its time", "by request", "by another spec"])
def test_what_was_given_up_and_is_tried_again_at_zero_rests(how: str) -> None:
    service = an_untried_canary("replace")
    after(service, 401)
    assert service.status["canary"]["state"] == "Failed"
    scaled(service, 0).has_ready(0, "stable").settles()
    assert service.status["canary"]["state"] == "Failed"

    match how:
        case "in its time":
            after(service, 3600)
        case "by request":
            asks(service, "retry")
        case _:
            service.changes(server={"runSeconds": 20}).settles()
    service.settles()

    assert (service.version("stable"), service.version("canary")) == ("churn-1", "churn-2")
    assert service.status["canary"]["state"] == "Progressing"
    scaled(service, 1).has_ready(1, "stable").settles()
    assert service.deployed[service.revision("canary")] == 1


def test_what_rests_ends_when_the_stable_version_is_asked_for_again() -> None:
    service = without_pods(an_untried_canary("replace"))

    service.changes(model={"version": "churn-1"}).settles()

    assert (service.version("stable"), service.status.get("canary")) == ("churn-1", None)


def test_a_status_of_an_earlier_release_that_counts_pods_asked_for_rests_as_well() -> None:
    service = an_untried_canary("canary")
    canary = service.status["canary"]
    assert canary["replicas"] == 1
    assert not {"verdict", "waitingSince"} & canary.keys(), "nothing that an earlier release did not write"

    scaled(service, 0)

    assert service.status["canary"]["verdict"] == "ScaledToZero"
