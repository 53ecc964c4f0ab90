"""Another release of the operator brings another image of the server: what that means for services that run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import InferenceService, a_served_version, a_service, a_version, a_world
from unit.given.world import SETTINGS, World
from unit.inferenceservice.rollout.test_canary import BAD, a_canary, after, measures, rollout

from modelwright.api.inferenceservice import (
    CanaryRevision,
    InferenceServiceStatus,
    RetiredRevision,
    Revision,
    StableRevision,
)
from modelwright.common.resources import DEPLOYMENTS
from modelwright.common.settings import ImagePolicy, Settings
from modelwright.inferenceservice.revision.image import choice
from modelwright.inferenceservice.revision.revisions import revision_name

NEW = "serving:2"
NOW: dict[str, Any] = {"serving_image": NEW, "serving_image_policy": "Now"}
TURN = "the new image of the server waits for its turn: 1 service is being rolled out"


def pods_of(service: InferenceService, part: str) -> Mapping[str, Any]:
    template: Mapping[str, Any] = service.all(DEPLOYMENTS)[f"{service.name}-{service.revision(part)}"][
        "spec"
    ]["template"]
    return template


def image_of(service: InferenceService, part: str) -> str:
    (server,) = pods_of(service, part)["spec"]["containers"]
    assert server["image"] == (service.part(part) or {})["image"]
    return str(server["image"])


def holds_against_the_revision_alone(service: InferenceService) -> bool:
    (rejected,) = service.status["rejected"]
    return (rejected["scope"], rejected["quarantine"]) == ("Revision", False)


class TestOnNextRollout:
    def test_what_runs_keeps_its_image_and_its_pods(self) -> None:
        service = a_served_version()
        before = pods_of(service, "stable")

        service.world.is_upgraded(serving_image=NEW, image_pull_policy="Always")
        service.settles()

        assert (service.is_ready, service.message) == (True, "ModelVersion churn-1 has the traffic")
        assert pods_of(service, "stable") == before
        assert len(service.deployed) == 1

    def test_the_next_revision_gets_the_new_one(self) -> None:
        service = a_served_version()
        service.world.is_upgraded(serving_image=NEW)

        service.changes(resources={"limits": {"memory": "1Gi"}}).settles()

        assert image_of(service, "stable") == "serving:1"
        assert image_of(service, "canary") == NEW

    @pytest.mark.parametrize("policy", ["OnNextRollout", "Now"])
    def test_a_canary_on_its_way_goes_on(self, policy: ImagePolicy) -> None:
        service = a_canary()
        before = dict(service.part("canary") or {})

        service.world.is_upgraded(serving_image=NEW, serving_image_policy=policy)
        service.settles()

        assert service.part("canary") == before

    @pytest.mark.parametrize("policy", ["OnNextRollout", "Now"])
    def test_one_that_was_rolled_back_is_not_tried_again_by_a_new_image_and_later_with_it(
        self, policy: ImagePolicy
    ) -> None:
        service = measures(a_canary(), BAD).settles()
        service.world.is_upgraded(serving_image=NEW, serving_image_policy=policy)

        assert service.settles().reason == "RolledBack"
        service.changes(rollout=rollout({"weight": 1})).settles()
        assert service.reason == "RolledBack"
        service.changes(model={"version": "churn-1"}).settles()
        service.changes(model={"version": "churn-2"}).settles()

        assert (service.reason, image_of(service, "canary")) == ("RevisionStarting", NEW)

    def test_going_back_to_the_revision_before_is_one_switch_still(self) -> None:
        service = a_served_version(rollout={"scaleDownDelaySeconds": 300})
        first = service.revision("stable")
        a_version(service.world, "churn-2", "b").is_verified("b")
        service.changes(model={"version": "churn-2"}).serves()
        service.world.is_upgraded(serving_image=NEW)

        service.changes(model={"version": "churn-1"}).settles()

        assert (service.traffic, service.is_ready) == (first, True)


def three_services(world: World, **spec: Any) -> list[InferenceService]:
    a_version(world).is_verified()
    return [a_service(world, name=name, **spec).serves() for name in ("a", "b", "c")]


class TestNow:
    def test_services_change_their_image_in_their_turn(self) -> None:
        world = a_world()
        services = three_services(world)
        world.is_upgraded(**NOW, max_concurrent_rollouts=1)
        for service in reversed(services):
            service.settles()
        first, second, third = services

        assert [image_of(service, "stable") for service in services] == ["serving:1"] * 3
        assert image_of(first, "canary") == NEW
        for waiting in (second, third):
            assert (waiting.is_ready, waiting.kstatus, waiting.part("canary")) == (True, "Current", None)
            assert waiting.message == f"ModelVersion churn-1 has the traffic; {TURN}"

        first.has_ready(1).settles()
        third.settles()
        assert third.part("canary") is None, "the other one comes first"
        second.serves()
        third.serves()
        assert [image_of(service, "stable") for service in services] == [NEW] * 3
        assert third.message == "ModelVersion churn-1 has the traffic"

    def test_who_waits_looks_again_by_himself(self) -> None:
        world = a_world()
        second = three_services(world)[1]
        world.is_upgraded(**NOW, max_concurrent_rollouts=1)

        plan = world.plan(second.key)

        assert plan.requeue_at is not None
        assert 0 < (plan.requeue_at - world.now).total_seconds() <= 60

    def test_a_rollout_that_waits_for_a_person_takes_nobodys_turn(self) -> None:
        world = a_world()
        first, second, _ = three_services(world, rollout=rollout({"weight": 10, "approval": True}))
        world.is_upgraded(**NOW, max_concurrent_rollouts=1)
        first.settles().has_ready(1).settles()
        assert first.reason == "AwaitingApproval"

        assert second.settles().part("canary") is not None

    def test_a_service_that_nobody_calls_does_not_wait_for_callers(self) -> None:
        service = a_served_version(replicas=4, rollout=rollout())
        service.world.is_upgraded(**NOW)
        service.settles().has_ready(1).settles()

        after(measures(service, {}), 61)
        service.has_ready(2).settles()
        after(measures(service, {}), 121)
        service.has_ready(4).settles()

        assert image_of(service, "stable") == NEW

    def test_a_new_model_that_nobody_calls_waits(self) -> None:
        service = a_canary()

        after(measures(service, {}), 100_000)

        assert service.status["canary"]["step"] == 0

    def test_an_image_that_fails_is_rolled_back_and_nothing_is_held_against_the_model(self) -> None:
        service = a_served_version(replicas=4, rollout=rollout())
        service.world.is_upgraded(**NOW)
        service.settles().has_ready(1).settles()

        measures(service, BAD).settles()

        assert (service.reason, service.traffic) == ("RolledBack", service.revision("stable"))
        assert holds_against_the_revision_alone(service)
        assert image_of(service, "stable") == "serving:1"

        service.world.is_upgraded(**{**NOW, "serving_image": "serving:3"})
        assert service.settles().reason == "RevisionStarting"

    def test_an_image_that_fails_when_it_has_taken_over_is_not_held_against_the_model_either(self) -> None:
        service = a_served_version(rollout={"bakeSeconds": 600})
        service.world.is_upgraded(**NOW)
        service.serves()
        assert service.reason == "Baking"

        pod = service.starts("stable")
        pod.crashes("server", 1).crashes("server", 1)
        service.settles()

        assert service.reason == "RolledBack"
        assert holds_against_the_revision_alone(service)


OLD, OTHER = "serving:1", "serving:0"


def a_revision(version: str, image: str) -> dict[str, Any]:
    artifact = words.artifact(letter=version[-1])
    name = revision_name(artifact["digest"], version, image, None)
    return {"revision": name, "version": version, "artifact": artifact, "image": image}


def stable(version: str, image: str) -> StableRevision:
    return StableRevision.model_validate(a_revision(version, image))


def canary(version: str, image: str, state: str = "Shifting", generation: int = 1) -> CanaryRevision:
    more = {"state": state, "since": "2026-01-01T00:00:00Z", "generation": generation}
    return CanaryRevision.model_validate({**a_revision(version, image), **more})


def retired(version: str, image: str) -> RetiredRevision:
    return RetiredRevision.model_validate({**a_revision(version, image), "until": "2026-01-01T00:00:00Z"})


ANY: tuple[ImagePolicy, ...] = ("OnNextRollout", "Now")
LATER, AT_ONCE = ANY[:1], ANY[1:]


def is_of_this_spec(canary: CanaryRevision) -> bool:
    """The spec is of the first generation."""
    return canary.generation == 1


@pytest.mark.parametrize(
    ("policies", "parts", "ahead", "image"),
    [
        pytest.param(ANY, {}, 9, NEW, id="nothing runs"),
        pytest.param(ANY, {"stable": stable("v-a", NEW)}, 9, NEW, id="it has the image"),
        pytest.param(ANY, {"stable": stable("v-b", OLD)}, 9, NEW, id="another model serves"),
        pytest.param(LATER, {"stable": stable("v-a", OLD)}, 0, OLD, id="it serves with the image before"),
        pytest.param(AT_ONCE, {"stable": stable("v-a", OLD)}, 0, NEW, id="its turn has come"),
        pytest.param(AT_ONCE, {"stable": stable("v-a", OLD)}, 5, OLD, id="its turn has not come"),
        pytest.param(
            AT_ONCE,
            {"stable": stable("v-a", OLD), "canary": canary("v-a", NEW)},
            9,
            NEW,
            id="its rollout has begun",
        ),
        pytest.param(
            AT_ONCE,
            {"stable": stable("v-a", OTHER), "canary": canary("v-a", OLD)},
            9,
            OLD,
            id="its rollout to the image before goes on",
        ),
        pytest.param(
            LATER,
            {"stable": stable("v-a", OLD), "canary": canary("v-a", NEW)},
            0,
            OLD,
            id="the policy was changed",
        ),
        pytest.param(
            AT_ONCE,
            {"stable": stable("v-a", OLD), "canary": canary("v-a", NEW, "Failed")},
            9,
            NEW,
            id="the image was rolled back",
        ),
        pytest.param(
            AT_ONCE,
            {"stable": stable("v-a", OTHER), "canary": canary("v-a", OLD, "Failed")},
            0,
            NEW,
            id="an image before was rolled back",
        ),
        pytest.param(
            ANY,
            {"stable": stable("v-b", OLD), "canary": canary("v-a", OLD)},
            9,
            OLD,
            id="the model is on its way",
        ),
        pytest.param(
            ANY,
            {"stable": stable("v-b", OLD), "canary": canary("v-a", OLD, "Failed")},
            9,
            OLD,
            id="the model was rolled back",
        ),
        pytest.param(
            ANY,
            {"stable": stable("v-b", OLD), "canary": canary("v-a", OLD, "Failed", generation=0)},
            9,
            NEW,
            id="the model was rolled back under another spec",
        ),
        pytest.param(
            ANY,
            {"stable": stable("v-b", OLD), "retired": retired("v-a", OLD)},
            9,
            OLD,
            id="it is the one before",
        ),
    ],
)
def test_an_image_alone_changes_what_runs_only_as_the_policy_says(
    policies: tuple[ImagePolicy, ...], parts: dict[str, Revision], ahead: int, image: str
) -> None:
    wanted = Revision.model_validate(a_revision("v-a", NEW))
    for policy in policies:
        settings = Settings(NEW, "training:2", serving_image_policy=policy)
        found = choice(
            InferenceServiceStatus.model_validate(parts), wanted, is_of_this_spec, settings, lambda: ahead
        )

        assert (found.revision.version, found.revision.image) == ("v-a", image)
        assert found.revision.revision == a_revision("v-a", image)["revision"]
        assert (found.ahead is not None) == (policy == "Now" and set(parts) == {"stable"} and image == OLD)


def test_only_who_needs_a_turn_has_the_others_counted() -> None:
    def counted() -> int:
        raise AssertionError("it needs no turn")

    status = InferenceServiceStatus.model_validate({"stable": stable("v-a", NEW)})
    wanted = Revision.model_validate(a_revision("v-a", NEW))
    settings = Settings(NEW, SETTINGS.training_image, serving_image_policy="Now")
    assert choice(status, wanted, is_of_this_spec, settings, counted).revision == wanted
