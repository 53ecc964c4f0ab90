"""An InferenceService from its first look through the change of what it serves."""

from __future__ import annotations

import itertools

import pytest
from unit.given import words
from unit.given.resources import (
    InferenceService,
    ModelVersion,
    a_served_version,
    a_service,
    a_version,
    a_world,
)

from modelwright.common.resources import DEPLOYMENTS, MODEL_VERSIONS, SERVICES
from modelwright.engine.objects import Key


def with_a_second(service: InferenceService) -> InferenceService:
    """churn-2 is there, and the spec asks for it."""
    a_version(service.world, "churn-2", "b").is_verified("b")
    return service.changes(model={"version": "churn-2"}).settles()


def test_the_first_look_writes_the_status_before_any_child() -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world)
    before = len(world.api.writes)

    service.looks()

    first, *others = world.api.writes[before:]
    assert first.verb == "apply_status"
    assert {call.resource.kind for call in others} == {"Deployment", "Service"}
    assert service.kstatus == "InProgress"


@pytest.mark.parametrize("order", list(itertools.permutations(["version", "ready", "service"])), ids="-".join)
def test_things_may_be_applied_in_any_order(order: tuple[str, ...]) -> None:
    world = a_world()
    versions: list[ModelVersion] = []
    services: list[InferenceService] = []
    for step in order:
        if step == "service":
            services.append(a_service(world))
        elif not versions:
            versions.append(a_version(world))
        if step == "ready":
            versions[0].is_verified()
        for service in services:
            service.settles()

    (service,) = services
    assert service.serves().is_ready


def test_a_version_that_is_missing_and_then_not_ready_is_waited_for() -> None:
    world = a_world()
    service = a_service(world).settles()
    assert (service.reason, service.kstatus) == ("ModelNotFound", "InProgress")
    assert service.condition("Available")["status"] == "False"

    version = a_version(world)
    assert service.settles().reason == "ModelNotReady"
    version.settles()
    assert service.settles().message == "ModelVersion churn-1 is not Ready: Verifying"
    assert service.deployed == {}

    version.is_verified()

    assert service.settles().reason == "RevisionStarting"


def test_the_first_deployment_takes_the_traffic_when_it_is_ready() -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world).settles()
    assert (service.version("canary"), service.status.get("url")) == ("churn-1", None)
    assert service.traffic == service.revision("canary"), (
        "the nodes hear of the Service before the pods are ready"
    )

    service.has_ready(1).settles()

    assert (service.version("stable"), service.part("canary")) == ("churn-1", None)
    assert service.traffic == service.revision("stable")
    assert service.status["url"] == "http://churn.team.svc"
    assert (service.reason, service.kstatus) == ("Serving", "Current")
    assert service.condition("Available")["status"] == "True"


def test_nothing_is_called_ready_before_the_service_has_switched() -> None:
    service = with_a_second(a_served_version()).has_ready(1)

    service.looks()

    assert service.version("stable") == "churn-2"
    assert not service.is_ready, "the status was written before the Service had switched"
    assert service.looks().is_ready


def test_a_second_version_starts_beside_the_first_and_takes_over_when_all_pods_are_ready() -> None:
    service = with_a_second(a_served_version(replicas=2))
    first, second = service.revision("stable"), service.revision("canary")
    assert service.deployed == {first: 2, second: 2}
    assert (service.traffic, service.reason, service.kstatus) == (first, "RevisionStarting", "InProgress")

    service.has_ready(1).settles()
    assert service.traffic == first, "half of it is not all of it"
    service.has_ready(2, updated=1).settles()
    assert service.traffic == first, "pods of another shape do not count"
    service.has_ready(2).settles()

    assert (service.traffic, service.version("stable")) == (second, "churn-2")
    assert (service.version("retired"), service.is_ready) == ("churn-1", True)


def test_a_deployment_status_of_another_generation_does_not_count() -> None:
    service = with_a_second(a_served_version())
    service.has_ready(1)
    service.world.edit(service.deployment(service.revision("canary")), status={"observedGeneration": 0})

    assert service.settles().version("stable") == "churn-1"


def test_the_service_selects_exactly_one_revision_by_name_and_hash() -> None:
    service = a_served_version()

    selector = service.all(SERVICES)["churn"]["spec"]["selector"]

    assert selector == {
        "modelwright.dev/inference-service": "churn",
        "modelwright.dev/revision": service.revision("stable"),
    }


def test_the_retired_revision_is_kept_until_its_time_and_then_deleted() -> None:
    service = with_a_second(a_served_version(rollout={"scaleDownDelaySeconds": 120}))
    first = service.revision("stable")
    service.has_ready(1).settles()
    plan = service.world.plan(service.key)
    assert plan.requeue_at is not None

    service.world.after(100)
    assert first in service.settles().deployed
    service.world.after(30)
    service.settles()

    assert service.world.now >= plan.requeue_at
    assert set(service.deployed) == {service.revision("stable")}
    assert service.part("retired") is None


def test_without_a_delay_the_old_revision_goes_only_after_the_switch() -> None:
    service = with_a_second(a_served_version(rollout={"scaleDownDelaySeconds": 0}))
    before = len(service.world.api.writes)

    service.has_ready(1).settles()

    order = [(call.verb, call.resource.kind) for call in service.world.api.writes[before:]]
    assert order.index(("apply", "Service")) < order.index(("delete", "Deployment"))


def test_a_retired_revision_can_be_promoted_again_without_a_new_pod() -> None:
    service = with_a_second(a_served_version(rollout={"scaleDownDelaySeconds": 300}))
    first = service.revision("stable")
    service.has_ready(1).settles()

    service.changes(model={"version": "churn-1"}).settles()

    assert (service.traffic, service.version("retired"), service.is_ready) == (first, "churn-2", True)


def test_a_revert_in_the_middle_ends_the_canary() -> None:
    service = with_a_second(a_served_version())
    first = service.revision("stable")

    service.changes(model={"version": "churn-1"}).settles()

    assert (service.deployed, service.traffic) == ({first: 1}, first)
    assert (service.part("canary"), service.is_ready) == (None, True)


def test_a_third_version_in_the_middle_replaces_the_canary() -> None:
    service = with_a_second(a_served_version())
    first, second = service.revision("stable"), service.revision("canary")
    a_version(service.world, "churn-3", "c").is_verified("c")

    service.changes(model={"version": "churn-3"}).settles()

    assert second not in service.deployed
    assert (service.traffic, service.version("canary")) == (first, "churn-3")
    assert service.has_ready(1).settles().version("stable") == "churn-3"


def test_a_version_that_is_deleted_while_it_is_served_goes_on_being_served() -> None:
    service = a_served_version()
    stable = service.revision("stable")
    service.world.drop(Key(MODEL_VERSIONS, "team", "churn-1"))

    service.settles()
    assert (service.reason, service.kstatus) == ("ModelNotFound", "InProgress")
    recorded = f"revision {stable} of ModelVersion churn-1 serves on from the recorded artifact"
    assert service.message == f"there is no ModelVersion churn-1; {recorded}"
    assert service.world.told.events[-1].type == "Warning"
    assert service.condition("Available")["status"] == "True"
    service.world.drop(service.deployment(stable))
    service.settles()

    assert stable in service.deployed, "even its Deployment is made again: the status has all that it takes"


def test_a_version_that_is_deleted_while_it_starts_is_given_up() -> None:
    service = with_a_second(a_served_version())

    service.world.drop(Key(MODEL_VERSIONS, "team", "churn-2"))
    service.settles()

    assert (service.reason, service.part("canary")) == ("ModelNotFound", None)
    assert set(service.deployed) == {service.traffic}


def test_an_inference_service_that_is_being_deleted_is_left_alone() -> None:
    service = a_served_version()
    service.world.edit(
        service.key, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a.user/s"]}
    )

    assert service.world.plan(service.key).effects == ()
    service.is_deleted()
    assert not service.world.look(service.key)
    assert not service.all(DEPLOYMENTS), "children go with it"


def test_the_pods_get_the_file_by_its_digest_and_the_server_only_reads_it() -> None:
    service = a_served_version()

    pod = service.all(DEPLOYMENTS)[f"churn-{service.revision('stable')}"]["spec"]["template"]["spec"]

    (pull,), (server,) = pod["initContainers"], pod["containers"]
    assert pull["command"][1:] == [
        "--uri",
        words.artifact()["uri"],
        "--digest",
        words.digest(),
        "--to",
        "/model",
    ]
    assert "artifacts" not in [mount["name"] for mount in server["volumeMounts"]]
    mounts = {m["name"]: m.get("readOnly") for m in server["volumeMounts"]}
    assert mounts == {"model": True, "traffic": True, "tmp": None}
