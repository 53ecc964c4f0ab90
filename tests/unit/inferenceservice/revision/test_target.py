"""Which version of a family is the newest, and which revision serves a version."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from unit.given.resources import ModelVersion, a_service, a_version, a_world
from unit.given.world import World

from modelwright.engine.objects import Body
from modelwright.inferenceservice.revision.family import oldest_first

MORNING, NOON, EVENING = (f"2026-01-01T{hour}:00:00Z" for hour in ("06", "12", "18"))


def a_run(number: int, created: str, job: str = "churn", **lineage: Any) -> Body:
    return by_hand(f"{job}-{number}", created, trainingJob=job, run=number, **lineage)


def by_hand(name: str, created: str, **lineage: Any) -> Body:
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"model": "churn", **({"lineage": lineage} if lineage else {})},
    }


@pytest.mark.parametrize(
    ("versions", "order"),
    [
        pytest.param([a_run(1, MORNING), a_run(2, NOON)], ["churn-1", "churn-2"], id="as they were made"),
        pytest.param([a_run(9, NOON), a_run(10, NOON)], ["churn-9", "churn-10"], id="runs of one second"),
        pytest.param(
            [a_run(1, EVENING), a_run(3, MORNING), a_run(4, NOON)],
            ["churn-1", "churn-3", "churn-4"],
            id="the first run was restored last",
        ),
        pytest.param(
            [a_run(2, MORNING, completionTime=EVENING), a_run(3, MORNING, completionTime=NOON)],
            ["churn-2", "churn-3"],
            id="a clock that was wrong",
        ),
        pytest.param(
            [by_hand("hand", NOON), a_run(1, MORNING)], ["churn-1", "hand"], id="by hand, after the run"
        ),
        pytest.param(
            [by_hand("hand", MORNING), a_run(1, NOON)], ["hand", "churn-1"], id="by hand, before the run"
        ),
        pytest.param(
            [by_hand("a", EVENING, completionTime=MORNING), by_hand("b", MORNING, completionTime=NOON)],
            ["a", "b"],
            id="the time in the spec counts more than that of the object",
        ),
        pytest.param(
            [by_hand("a", MORNING, completionTime="2026-01-01T07:00:00+05:00"), by_hand("b", "2026-01-01T03:00:00Z")],
            ["a", "b"],
            id="times of two zones",
        ),
        pytest.param(
            [by_hand("a", NOON, completionTime="yesterday"), by_hand("b", MORNING)],
            ["b", "a"],
            id="a time that cannot be read",
        ),
        pytest.param(
            [by_hand("a", NOON, completionTime="2026-01-01T06:00:00"), by_hand("b", NOON)],
            ["a", "b"],
            id="a time without a zone is UTC",
        ),
        pytest.param(
            [a_run(7, EVENING, "old"), a_run(1, NOON, "new", completionTime=EVENING), a_run(8, MORNING, "old")],
            ["new-1", "old-7", "old-8"],
            id="of two TrainingJobs, at one time the higher run",
        ),
        pytest.param(
            [a_run(1, EVENING, "a"), a_run(2, MORNING, "a"), a_run(1, NOON, "b")],
            ["b-1", "a-1", "a-2"],
            id="no run is older than one before it, beside another TrainingJob too",
        ),
    ],
)  # fmt: skip
def test_versions_have_one_order_however_they_are_listed(versions: list[Body], order: list[str]) -> None:
    for listed in itertools.permutations(versions):
        assert [version["metadata"]["name"] for version in oldest_first(listed)] == order


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
