"""Which version a service is to serve."""

from __future__ import annotations

import pytest
from unit.given.resources import InferenceService, ModelVersion, a_service, a_version, a_world
from unit.given.world import World
from unit.inferenceservice.rollout.test_canary import a_canary, rollout


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


def is_rejected(version: ModelVersion) -> None:
    """A person says no."""
    version.changes(approvals=[{"by": "ann", "decision": "Reject", "reason": "unfair"}]).settles()


def stands(version: ModelVersion, state: str, reason: str, message: str = "0.51 is below 0.9") -> None:
    """The operator says of a version that it is not Ready."""
    listed = [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, status in (("Ready", "False"), (state, "True"))
    ]
    version.world.edit(version.key, status={"conditions": listed})


HELD_BACK = [
    ("Stalled", "GateFailed", "Failed"),
    ("Stalled", "Rejected", "Failed"),
    ("Reconciling", "GateInconclusive", "InProgress"),
    ("Reconciling", "AwaitingApproval", "InProgress"),
]


class TestAVersionThatIsNotReady:
    @pytest.mark.parametrize(("state", "reason", "kstatus"), HELD_BACK)
    def test_is_not_started_by_name(self, state: str, reason: str, kstatus: str) -> None:
        world = a_world()
        stands(a_version(world), state, reason)

        service = a_service(world).settles()

        assert (service.deployed, service.reason, service.kstatus) == ({}, "ModelNotReady", kstatus)
        assert service.message == f"ModelVersion churn-1 is not Ready: {reason}: 0.51 is below 0.9"

    @pytest.mark.parametrize(("state", "reason", "kstatus"), HELD_BACK)
    def test_is_not_started_as_the_newest(self, state: str, reason: str, kstatus: str) -> None:
        world = a_world()
        stands(a_version(world), state, reason)

        service = a_service(world, None).settles()

        assert (service.deployed, service.reason, service.kstatus) == ({}, "ModelNotReady", kstatus)
        assert service.message == (
            f"no ModelVersion of the model churn is Ready; the newest is churn-1: {reason}: 0.51 is below 0.9"
        )

    def test_is_waited_for_while_another_may_become_ready(self) -> None:
        world = a_world()
        a_version(world, "churn-0", "b").settles()
        stands(a_version(world), "Stalled", "GateFailed")

        assert a_service(world, None).settles().kstatus == "InProgress"

    def test_is_passed_over_and_named(self) -> None:
        world = a_world()
        versions = runs(world, 1, 2)
        stands(versions[2], "Stalled", "GateFailed")

        service = a_service(world, None).serves()

        assert (service.version("stable"), service.is_ready) == ("churn-1", True)
        assert service.message == (
            "ModelVersion churn-1 has the traffic; passed over: churn-2 (not Ready: GateFailed)"
        )

    def test_keeps_the_traffic_that_it_has(self) -> None:
        world = a_world()
        versions = runs(world, 1, 2)
        service = a_service(world, None).serves()

        is_rejected(versions[2])
        service.settles()

        assert (service.version("stable"), service.version("canary")) == ("churn-2", None)
        assert (service.is_ready, service.reason) == (True, "ServedVersionNotReady")
        assert service.message.startswith(
            "ModelVersion churn-2 is no longer Ready, and has the traffic until another takes over: Rejected: "
        )
        assert [e.type for e in world.told.events if e.reason == "ServedVersionNotReady"] == ["Warning"]

    def test_gets_no_new_pods_of_another_shape(self) -> None:
        world = a_world()
        versions = runs(world, 1)
        service = a_service(world, None).serves()
        deployed = service.deployed

        is_rejected(versions[1])
        service.changes(resources={"requests": {"cpu": "1"}}).settles()

        assert service.deployed == deployed

    def test_gives_way_to_a_newer_one(self) -> None:
        world = a_world()
        versions = runs(world, 1)
        service = a_service(world, None).serves()
        is_rejected(versions[1])

        runs(world, 2)

        assert service.settles().version("canary") == "churn-2"

    def test_keeps_the_traffic_where_the_spec_names_it(self) -> None:
        world = a_world()
        versions = runs(world, 1)
        service = a_service(world).serves()

        is_rejected(versions[1])
        service.settles()

        assert (service.version("stable"), service.traffic) == ("churn-1", service.revision("stable"))
        assert (service.reason, service.is_stalled) == ("ModelNotReady", True)
        assert service.message.endswith("; it keeps the traffic")


class TestACanaryWhoseVersionIsRejected:
    @staticmethod
    def given(**model: str) -> InferenceService:
        service = a_canary()
        if model:
            service.changes(model={"version": None, **model}).settles()
        assert service.version("canary") == "churn-2"
        is_rejected(ModelVersion.found(service.world, "churn-2"))
        return service.settles()

    def test_ends_where_the_spec_names_it(self) -> None:
        service = self.given()

        assert (service.version("canary"), service.version("stable")) == (None, "churn-1")
        assert service.traffic == service.revision("stable")
        assert service.reason == "ModelNotReady"
        assert "Rejected" in service.message
        assert service.message.endswith("; churn-1 keeps the traffic")

    def test_is_in_the_decisions_and_events(self) -> None:
        service = self.given()

        last = service.status["lastDecision"]
        assert (last["verdict"], last["reason"]) == ("Rollback", "Rejected")
        found = [e for e in service.world.told.events if e.reason == "CanaryWithdrawn"]
        assert [(e.type, e.message.endswith("no longer Ready: Rejected")) for e in found] == [
            ("Warning", True)
        ]

    def test_ends_where_the_spec_follows_the_family(self) -> None:
        world = a_world()
        versions = runs(world, 1)
        service = a_service(world, None, rollout=rollout()).serves()
        versions |= runs(world, 2)
        assert service.settles().version("canary") == "churn-2"

        is_rejected(versions[2])
        service.settles()

        assert (service.version("canary"), service.version("stable")) == (None, "churn-1")
        assert service.message == (
            "ModelVersion churn-1 has the traffic; passed over: churn-2 (not Ready: Rejected)"
        )
        assert service.status["lastDecision"]["reason"] == "Rejected"


CHAMPION = {"name": "churn", "track": "Champion"}


class TestTrackChampion:
    def test_serves_what_another_service_of_the_family_serves(self) -> None:
        world = a_world()
        runs(world, 1, 2, 3)
        a_service(world, "churn-2", "shop").serves()

        follower = a_service(world, None, "follower", model=CHAMPION).serves()

        assert (follower.version("stable"), follower.is_ready) == ("churn-2", True)

    def test_goes_with_it(self) -> None:
        world = a_world()
        runs(world, 1, 2)
        leader = a_service(world, "churn-1", "shop").serves()
        follower = a_service(world, None, "follower", model=CHAMPION).serves()
        assert follower.version("stable") == "churn-1"

        leader.changes(model={"version": "churn-2"}).serves()
        follower.serves()
        assert follower.version("stable") == "churn-2"

        leader.changes(model={"version": "churn-1"}).settles()  # the pods before still run
        assert follower.settles().version("stable") == "churn-1"

    def test_serves_the_newest_that_is_ready_without_any(self) -> None:
        world = a_world()
        runs(world, 1, 2)

        assert a_service(world, None, model=CHAMPION).serves().version("stable") == "churn-2"

    def test_does_not_follow_another_one_that_follows(self) -> None:
        world = a_world()
        runs(world, 1)
        one = a_service(world, None, "one", model=CHAMPION).serves()
        runs(world, 2)
        two = a_service(world, None, "two", model=CHAMPION).serves()

        assert two.version("stable") == "churn-2"
        assert one.settles().version("stable") == "churn-1", "it keeps what it serves"
        assert two.settles().version("stable") == "churn-2"

    def test_does_not_start_a_version_that_is_no_longer_ready(self) -> None:
        world = a_world()
        versions = runs(world, 1, 2)
        a_service(world, "churn-1", "shop").serves()
        is_rejected(versions[1])

        follower = a_service(world, None, "follower", model=CHAMPION).settles()

        assert (follower.version("canary"), follower.reason) == (None, "ModelNotReady")
        assert follower.is_stalled
        assert follower.message.startswith(
            "ModelVersion churn-1, which the other services of the family serve, is not Ready: Rejected"
        )

    def test_keeps_what_it_serves_where_the_champion_must_not_be_started(self) -> None:
        world = a_world()
        versions = runs(world, 1, 2)
        follower = a_service(world, None, "follower", model=CHAMPION).serves()
        a_service(world, "churn-1", "shop").serves()
        is_rejected(versions[1])

        assert follower.settles().version("stable") == "churn-2"
        assert follower.is_ready


class TestTrackChampionWithoutALeader:
    """The service that led is gone, for a moment or for good."""

    UNLED = "; no other InferenceService that it could follow serves the model churn"

    def led(self) -> tuple[World, InferenceService, InferenceService]:
        """A leader and a follower serve churn-1, and churn-2 is Ready."""
        world = a_world()
        runs(world, 1, 2)
        leader = a_service(world, "churn-1", "shop").serves()
        follower = a_service(world, None, "follower", model=CHAMPION).serves()
        assert (follower.version("stable"), self.UNLED in follower.message) == ("churn-1", False)
        return world, leader, follower

    def test_what_serves_stays_where_the_leader_is_deleted(self) -> None:
        _, leader, follower = self.led()
        leader.is_deleted()

        follower.settles()

        assert (follower.version("stable"), follower.version("canary")) == ("churn-1", None)
        assert follower.message == f"ModelVersion churn-1 has the traffic{self.UNLED}"
        assert follower.is_ready

    def test_what_serves_stays_where_the_leader_lost_its_status(self) -> None:
        world, leader, follower = self.led()
        world.api.edit(leader.key, lambda body: body.update(status={}))
        world.watch()

        assert follower.settles().version("canary") is None

        leader.changes(model={"version": "churn-2"}).serves()
        assert follower.serves().version("stable") == "churn-2"
        assert self.UNLED not in follower.message

    def test_what_serves_stays_though_it_was_deleted_or_rejected(self) -> None:
        world, leader, follower = self.led()
        leader.is_deleted()
        version = ModelVersion.found(world, "churn-1")
        is_rejected(version)
        assert (follower.settles().version("stable"), follower.version("canary")) == ("churn-1", None)
        assert follower.reason == "ServedVersionNotReady"

        version.is_deleted()
        assert (follower.settles().version("stable"), follower.version("canary")) == ("churn-1", None)
        assert follower.reason == "ServedVersionDeleted"

    def test_a_change_of_the_pods_takes_effect(self) -> None:
        _, leader, follower = self.led()
        leader.is_deleted()
        before = follower.revision("stable")

        follower.changes(resources={"limits": {"memory": "3Gi"}}).serves()

        assert (follower.version("stable"), follower.revision("stable") == before) == ("churn-1", False)

    def test_a_service_of_another_family_starts_the_newest_that_is_ready(self) -> None:
        world = a_world()
        runs(world, 1, 2)
        a_version(world, "other-1", "f", model="other").is_verified("f")
        service = a_service(world, "other-1", "shop").serves()

        service.changes(model=CHAMPION)

        assert service.serves().version("stable") == "churn-2"

    def test_the_first_start_says_that_it_follows_none(self) -> None:
        world = a_world()
        runs(world, 1, 2)
        service = a_service(world, None, model=CHAMPION).serves()

        assert service.message == f"ModelVersion churn-2 has the traffic{self.UNLED}"
