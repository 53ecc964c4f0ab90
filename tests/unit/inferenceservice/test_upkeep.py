"""An InferenceService that serves: scaling, repair, and following the newest version."""

from __future__ import annotations

from unit.given.resources import a_served_version, a_service, a_version, a_world

from modelwright.common.resources import SERVICES
from modelwright.engine.objects import Key


def test_scaling_changes_the_pods_and_not_the_revision() -> None:
    service = a_served_version()
    stable = service.revision("stable")

    service.changes(replicas=3).settles()
    assert (service.deployed, service.reason) == ({stable: 3}, "PodsNotReady")
    assert service.condition("Available")["status"] == "True"
    assert service.has_ready(3, "stable").settles().is_ready
    service.changes(replicas=1).settles()

    assert service.has_ready(1, "stable").settles().status["stable"]["readyReplicas"] == 1
    assert service.revision("stable") == stable


def test_scaling_down_is_done_when_the_pods_are_gone() -> None:
    service = a_served_version(replicas=2).changes(replicas=0).settles()
    service.has_ready(2, "stable").settles()
    assert not service.is_ready, "the pods that are too many are still there"

    service.has_ready(0, "stable").settles()

    assert service.is_ready


def test_scaling_to_zero_is_done_and_not_available() -> None:
    service = a_served_version().changes(replicas=0).settles()

    service.has_ready(0, "stable").settles()

    assert (service.is_ready, service.condition("Available")["reason"]) == (True, "ScaledToZero")
    assert (service.reason, service.message) == (
        "ScaledToZero",
        "spec.replicas is 0: no pod of ModelVersion churn-1 runs",
    )
    service.changes(replicas=1).settles()
    assert service.condition("Available")["reason"] == "PodsNotReady"


def test_pods_that_have_to_be_ready_for_longer_now_serve_all_the_while() -> None:
    service = a_served_version(replicas=2)
    service.changes(rollout={"strategy": "Canary", "steps": [{"weight": 10}]})

    service.world.edit(
        service.deployment(service.revision("stable")),
        status={
            **service.world.api.objects[service.deployment(service.revision("stable"))]["status"],
            "availableReplicas": 0,
        },
    )

    assert (service.settles().is_ready, service.reason) == (True, "Serving")


def test_a_change_of_resources_is_another_revision() -> None:
    service = a_served_version()
    first = service.revision("stable")

    service.changes(resources={"limits": {"memory": "1Gi"}}).settles()

    assert service.version("canary") == "churn-1"
    assert service.traffic == first
    service.has_ready(1).settles()
    assert service.traffic != first


def test_a_deployment_or_service_that_somebody_deletes_is_made_again() -> None:
    service = a_served_version()
    stable = service.revision("stable")
    service.world.drop(service.deployment(stable))
    service.world.drop(Key(SERVICES, "team", "churn"))

    service.settles()
    assert service.deployed == {stable: 1}
    assert service.traffic == stable
    assert service.condition("Available")["status"] == "False"

    assert service.has_ready(1, "stable").settles().is_ready


def test_a_service_that_somebody_points_elsewhere_is_pointed_back() -> None:
    service = a_served_version()
    selector = {"modelwright.dev/revision": "elsewhere"}
    service.world.edit(Key(SERVICES, "team", "churn"), spec={"selector": selector})

    service.settles()

    assert service.traffic == service.revision("stable")
    assert service.is_ready


def test_latest_follows_the_newest_version_that_is_ready() -> None:
    world = a_world()
    service = a_service(world, None).settles()
    assert service.reason == "ModelNotFound"
    first = a_version(world)
    assert service.settles().reason == "ModelNotReady"
    first.is_verified()
    service.serves()
    world.after(60)

    second = a_version(world, "churn-2", "b").settles()
    assert service.settles().version("stable") == "churn-1"
    second.is_verified("b")
    service.serves()

    assert service.version("stable") == "churn-2"


def test_latest_of_two_versions_of_one_second_is_the_one_of_the_later_run() -> None:
    world = a_world()
    made = {
        letter: a_version(world, f"churn-{number}", letter, trainingJob="churn", run=number)
        for number, letter in ((10, "b"), (9, "c"))
    }
    for letter, version in made.items():
        version.is_verified(letter)

    assert a_service(world, None).settles().version("canary") == "churn-10"


def test_latest_passes_over_versions_of_others_and_rejected_ones() -> None:
    world = a_world()
    a_version(world).is_verified()
    world.after(60)
    a_version(world, "fraud-1", "b", model="fraud").is_verified("b")
    a_version(world, "churn-2", "c").is_rejected()

    assert a_service(world, None).settles().version("canary") == "churn-1"


def test_conditions_keep_their_places_as_the_api_server_merges_them() -> None:
    service = a_served_version()
    assert [c["type"] for c in service.status["conditions"]] == ["Ready", "Available"]

    service.changes(replicas=2).settles()

    assert [c["type"] for c in service.status["conditions"]] == ["Ready", "Available", "Reconciling"]
    before = len(service.world.api.writes)
    service.looks()
    assert len(service.world.api.writes) == before
