"""The status is lost while things run: what runs is adopted, and no caller notices."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from unit.given.lives import back_up, lose, restore
from unit.given.resources import InferenceService, ModelVersion, a_served_version, a_service, a_version
from unit.given.world import NAMESPACE, World
from unit.inferenceservice.rollout.test_canary import GOOD, a_canary, after, measures, rollout, rule

from modelwright.common.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    INFERENCE_SERVICES,
    MODEL_VERSIONS,
    REVISION,
    SERVICES,
)
from modelwright.engine.objects import ROOT_UID, Body, Key, controller, labels, metadata, uid

SERVICE = Key(SERVICES, NAMESPACE, "churn")
LOST: Any = {"observedGeneration": -1}
CHILDREN = (SERVICES, DEPLOYMENTS, CONFIG_MAPS)


def loses_its_status(service: InferenceService, status: Mapping[str, Any] = LOST) -> InferenceService:
    service.world.api.edit(service.key, lambda body: body.update(status=dict(status)))
    service.world.watch()
    return service


def is_followed(service: InferenceService) -> None:
    """It settles, and at no moment does its Service lead to a revision without a ready pod."""
    for _ in range(12):
        wrote = service.looks_once()
        callers_are_answered(service.world)
        if not wrote:
            return


def callers_are_answered(world: World) -> None:
    """Where any revision has a ready pod, the Service selects one that has."""
    ready = {
        labels(body)[REVISION]
        for key, body in world.api.objects.items()
        if key.resource == DEPLOYMENTS and (body.get("status") or {}).get("readyReplicas")
    }
    service = world.api.objects.get(SERVICE)
    if ready and service is not None:
        assert service["spec"]["selector"][REVISION] in ready


def pods_are(service: InferenceService) -> dict[str, Any]:
    """The pods that each Deployment asks for."""
    return {name: found["spec"]["template"] for name, found in service.all(DEPLOYMENTS).items()}


class TestAStatusThatIsLost:
    def test_what_serves_goes_on_as_it_was(self) -> None:
        service = a_served_version(replicas=2)
        before, pods = dict(service.part("stable") or {}), pods_are(service)

        is_followed(loses_its_status(service))

        kept = dict(service.part("stable") or {})
        assert {**kept, "since": None, "artifact": None} == {**before, "since": None, "artifact": None}
        assert kept["artifact"]["digest"] == before["artifact"]["digest"]
        assert (service.is_ready, service.part("canary"), pods_are(service)) == (True, None, pods)
        told = [event.message for event in service.world.told.events if event.reason == "RevisionAdopted"]
        assert told == [
            f"the status was lost; revision {before['revision']} of ModelVersion churn-1 runs and is kept"
        ]

    def test_a_canary_begins_its_steps_anew(self) -> None:
        service = a_canary()
        after(measures(service, GOOD), 61)
        service.has_ready(2).settles()
        stable, canary = service.revision("stable"), service.revision("canary")
        assert service.status["canary"]["step"] == 1

        is_followed(loses_its_status(service))
        is_followed(service.has_ready(1))

        assert (service.revision("stable"), service.revision("canary")) == (stable, canary)
        assert (service.traffic, service.status["canary"]["step"]) == (stable, 0)
        assert rule(service) is not None

    def test_the_revision_before_is_cleared_up(self) -> None:
        service = a_served_version(rollout={"scaleDownDelaySeconds": 600})
        a_version(service.world, "churn-2", "b").is_verified("b")
        service.changes(model={"version": "churn-2"}).serves()
        stable = service.revision("stable")
        assert len(service.deployed) == 2

        is_followed(loses_its_status(service))

        assert (service.deployed, service.traffic, service.is_ready) == ({stable: 1}, stable, True)

    def test_a_new_version_takes_all_of_its_steps(self) -> None:
        service = a_served_version(replicas=4, rollout=rollout())
        stable = service.revision("stable")
        a_version(service.world, "churn-2", "b").is_verified("b")
        service.changes(model={"version": "churn-2"})

        is_followed(loses_its_status(service))

        assert (service.traffic, service.version("canary")) == (stable, "churn-2")
        assert service.status["canary"]["state"] == "Progressing"

    def test_a_first_revision_that_only_starts_is_no_stable_one(self) -> None:
        service = a_served_version()
        fresh = a_service(service.world, name="fresh").settles()

        assert (fresh.part("stable"), fresh.reason) == (None, "RevisionStarting")

    def test_without_a_service_a_revision_that_is_ready_is_kept(self) -> None:
        service = a_served_version()
        stable = service.revision("stable")
        service.world.drop(SERVICE)
        a_version(service.world, "churn-2", "b").is_verified("b")
        service.changes(model={"version": "churn-2"})

        is_followed(loses_its_status(service))

        assert (service.traffic, service.revision("stable")) == (stable, stable)

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param({"command": ["something-else"]}, id="another program"),
            pytest.param({"command": None}, id="no command"),
            pytest.param({"name": "sidecar"}, id="no server"),
        ],
    )
    def test_a_deployment_of_another_make_is_not_adopted(self, damage: dict[str, Any]) -> None:
        service = a_served_version()
        key = service.deployment(service.revision("stable"))
        service.world.api.edit(
            key, lambda body: body["spec"]["template"]["spec"]["containers"][0].update(damage)
        )
        service.world.watch()

        loses_its_status(service).settles()

        assert service.version("canary") == "churn-1"


class TestAStatusOfAnotherRelease:
    def test_what_can_be_read_is_kept(self) -> None:
        service = measures(a_canary(), {"Answered": 50, "Failed": 50}).settles()
        status = service.status
        judged = {**status["lastDecision"], "verdict": "Judged"}

        loses_its_status(service, {**status, "stable": {"later": 1}, "lastDecision": judged})
        is_followed(service)

        assert service.reason == "RolledBack", "the canary is remembered"
        assert service.version("stable") == "churn-1"
        assert service.status["rejected"] == status["rejected"]

    def test_a_state_that_is_not_known_is_one_that_is_lost(self) -> None:
        service = a_canary()
        canary = {**service.status["canary"], "state": "Judging"}

        is_followed(loses_its_status(service, {**service.status, "canary": canary}))

        assert service.status["canary"]["step"] == 0


class TestChildrenWithoutAnOwner:
    def test_they_are_adopted_by_the_next_of_their_name(self) -> None:
        service = a_served_version(replicas=2)
        service.starts("stable")
        spec, stable, pods = service.body["spec"], service.revision("stable"), pods_are(service)
        service.is_deleted_alone()

        again = a_service(service.world, replicas=2)
        assert uid(again.body) not in str(pods)
        is_followed(again)

        assert again.body["spec"] == spec
        assert (again.is_ready, again.revision("stable"), again.deployed) == (True, stable, {stable: 2})
        assert pods_are(again) == pods, "no pod is replaced"
        children = [body for kind in CHILDREN for body in again.all(kind).values()]
        assert {(controller(body) or {})["uid"] for body in children} == {uid(again.body)}
        assert {labels(body)[ROOT_UID] for body in children} == {uid(again.body)}

    def test_its_pods_are_found_though_they_carry_a_uid_of_before(self) -> None:
        service = a_served_version()
        pod = service.starts("stable")
        service.is_deleted_alone()
        again = a_service(service.world).settles()

        again.has_ready(0, "stable")
        pod.waits("server", "CreateContainerError", "no such device")

        assert again.settles().message == "ModelVersion churn-1: server: no such device"

    def test_what_is_of_no_use_any_more_goes(self) -> None:
        service = a_canary()
        service.is_deleted_alone()
        again = a_service(service.world, replicas=4)

        is_followed(again)

        assert (
            set(again.all(SERVICES)),
            again.all(CONFIG_MAPS)["churn-" + again.revision("stable")]["data"],
        ) == (
            {"churn"},
            {"rule.json": "", "traffic.json": ""},
        )
        assert list(again.deployed) == [again.revision("stable")]

    @pytest.mark.parametrize("label", ["app.kubernetes.io/managed-by", "modelwright.dev/inference-service"])
    def test_what_is_not_labelled_as_ours_is_left_alone(self, label: str) -> None:
        service = a_served_version()
        world, deployment = service.world, service.deployment(service.revision("stable"))
        service.is_deleted_alone()
        world.api.edit(deployment, lambda body: body["metadata"]["labels"].update({label: "other"}))
        world.watch()
        before = world.api.objects[deployment]

        again = a_service(world)
        for _ in range(6):
            again.looks()

        assert world.api.objects[deployment] == before
        assert again.reason == "NameTaken"

    def test_what_somebody_controls_is_left_alone(self) -> None:
        service = a_served_version()
        other = a_service(service.world, name="other").serves()
        before = other.all(DEPLOYMENTS)[f"other-{other.revision('stable')}"]
        loses_its_status(service).settles()

        assert other.all(DEPLOYMENTS)[f"other-{other.revision('stable')}"] == before


def arrives(world: World, key: Key, kept: Body) -> None:
    """An object is restored, and its controllers do their work."""
    restore(world, key, kept)
    if key.resource == MODEL_VERSIONS:
        ModelVersion.found(world, key.name).is_verified("b" if key.name == "churn-2" else "a")
    if key.resource == DEPLOYMENTS:
        deployment = world.api.objects[key]
        wanted = deployment["spec"]["replicas"]
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        generation = metadata(deployment)["generation"]
        world.edit(key, status={"observedGeneration": generation, **dict.fromkeys(counts, wanted)})


KINDS = {"service": INFERENCE_SERVICES, "versions": MODEL_VERSIONS, "pods": DEPLOYMENTS, "address": SERVICES}


@pytest.mark.parametrize("order", list(itertools.permutations(KINDS)), ids="-".join)
def test_a_backup_may_be_restored_in_any_order(order: tuple[str, ...]) -> None:
    before = a_canary()
    world, stable, canary = before.world, before.revision("stable"), before.revision("canary")
    kept = back_up(world, *KINDS.values())
    lose(world, list(world.api.objects))
    again = InferenceService.found(world, "churn")

    for kind in order:
        for key, body in kept.items():
            if key.resource == KINDS[kind]:
                arrives(world, key, body)
                if again.key in world.api.objects:
                    is_followed(again)
    is_followed(again)

    assert again.condition("Available")["status"] == "True"
    assert again.traffic == again.revision("stable")
    if order[-1] == "service" or order[-2:] == ("service", "versions"):
        assert (again.revision("stable"), again.revision("canary")) == (stable, canary)
        assert again.status["canary"].get("step") in {0, None}, "its steps begin anew"
