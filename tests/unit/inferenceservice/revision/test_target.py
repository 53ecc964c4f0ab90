"""Which version a service is to serve."""

from __future__ import annotations

from unit.given.resources import ModelVersion, a_service, a_version, a_world
from unit.given.world import World


def runs(world: World, *numbers: int) -> dict[int, ModelVersion]:
    """The versions of one TrainingJob's runs, made in this order and verified."""
    made = {}
    for number in numbers:
        letter = "abcdef"[number]
        made[number] = a_version(world, f"churn-{number}", letter, trainingJob="churn", run=number)
        made[number].is_verified(letter)
        world.after(60)
    return made


def test_latest_stays_with_the_newest_run_when_an_earlier_one_is_restored() -> None:
    world = a_world()
    first = runs(world, 1, 2)[1]
    service = a_service(world, None).serves()
    assert service.version("stable") == "churn-2"

    first.is_deleted()
    runs(world, 1)

    assert service.settles().is_ready
    assert service.version("stable") == "churn-2"


def test_a_quarantined_version_is_named_only_if_it_is_newer_than_the_one_that_serves() -> None:
    world = a_world()
    versions = runs(world, 3, 1, 2)
    for number, version in versions.items():
        if number != 2:
            mark = {"type": "Quarantined", "status": "True", "reason": "ErrorRateTooHigh", "message": ""}
            world.edit(version.key, status={"conditions": [*version.status["conditions"], mark]})

    service = a_service(world, None).serves()

    assert service.version("stable") == "churn-2"
    assert service.message == (
        "ModelVersion churn-2 has the traffic; passed over: churn-3 (quarantined: ErrorRateTooHigh)"
    )


class TestTheVersionThatServesIsDeleted:
    def test_its_revision_serves_on_though_an_older_version_is_there(self) -> None:
        world = a_world()
        second = runs(world, 1, 2)[2]
        service = a_service(world, None).serves()
        stable = service.revision("stable")

        second.is_deleted()
        service.settles()

        assert (service.is_ready, service.reason, service.deployed) == (
            True,
            "ServedVersionDeleted",
            {stable: 1},
        )
        assert service.message == (
            f"ModelVersion churn-2 was deleted; revision {stable} of ModelVersion churn-2 serves on from the recorded "
            "artifact"
        )
        assert [e.type for e in world.told.events if e.reason == "ServedVersionDeleted"] == ["Warning"]

    def test_a_newer_version_takes_over(self) -> None:
        world = a_world()
        second = runs(world, 1, 2)[2]
        service = a_service(world, None).serves()
        second.is_deleted()
        world.after(60)

        runs(world, 3)

        assert service.settles().version("canary") == "churn-3"

    def test_of_a_family_that_is_gone_the_revision_serves_on(self) -> None:
        world = a_world()
        only = runs(world, 1)[1]
        service = a_service(world, None).serves()
        stable = service.revision("stable")

        only.is_deleted()

        recorded = f"revision {stable} of ModelVersion churn-1 serves on from the recorded artifact"
        assert service.settles().message == f"there is no ModelVersion of the model churn; {recorded}"
        assert (service.traffic, service.condition("Available")["status"]) == (stable, "True")
