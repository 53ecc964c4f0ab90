"""A model that was rolled back is marked on its ModelVersion, and who follows the family passes it over."""

from __future__ import annotations

from typing import Any

from unit.given.resources import InferenceService, ModelVersion, a_service, a_version, a_world
from unit.given.world import NAMESPACE
from unit.inferenceservice.rollout.test_canary import after, measures, rollout
from unit.inferenceservice.test_requests import asks

from modelwright.common.resources import MODEL_VERSIONS
from modelwright.engine.objects import Key

BAD = {"Answered": 50, "Failed": 50}


def a_rejected_version() -> tuple[InferenceService, ModelVersion]:
    """A service follows the family: churn-1 serves, and churn-2 was rolled back."""
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world, version=None, replicas=2, rollout=rollout()).serves(2)
    version = a_version(world, "churn-2", "b").is_verified("b")
    service.settles().has_ready(1).settles()
    measures(service, BAD).settles()
    version.settles()
    service.settles()
    return service, version


def mark(version: ModelVersion) -> dict[str, Any] | None:
    return next((dict(c) for c in version.status["conditions"] if c["type"] == "Quarantined"), None)


def test_a_version_that_was_rolled_back_is_marked_with_the_reason() -> None:
    service, version = a_rejected_version()
    found = mark(version)
    assert found is not None
    assert (found["status"], found["reason"]) == ("True", "ErrorRateTooHigh")
    assert "InferenceService churn has rolled it back" in found["message"]
    assert version.condition("Ready")["status"] == "True", "the fact is the same"
    assert service.status["rejected"][0]["version"] == "churn-2"
    told = [(event.type, event.reason) for event in version.world.told.events]
    assert told.count(("Warning", "Quarantined")) == 1


def test_a_family_that_is_followed_passes_it_over() -> None:
    service, _ = a_rejected_version()
    assert (service.version("stable"), service.part("canary"), service.reason) == ("churn-1", None, "Serving")
    revision = service.status["rejected"][0]["revision"]
    assert service.message.endswith(f"; passed over: churn-2 (revision {revision}: ErrorRateTooHigh)")
    after(service, 100_000)
    assert service.part("canary") is None
    a_version(service.world, "churn-3", "c").is_verified("c")
    assert service.settles().version("canary") == "churn-3"


def test_who_serves_it_already_keeps_it_and_who_begins_does_not_take_it() -> None:
    service, version = a_rejected_version()
    newcomer = a_service(service.world, version=None, name="other", replicas=1).settles()
    assert newcomer.version("canary") == "churn-1"
    named = a_service(service.world, version="churn-2", name="named").serves()
    named.changes(model={"name": "churn", "track": "Latest"}).settles()
    assert (named.version("stable"), named.reason) == ("churn-2", "Serving")
    assert mark(version.settles()) is not None


def test_the_same_bytes_under_another_name_are_marked_too() -> None:
    service, _ = a_rejected_version()
    twin = a_version(service.world, "churn-2b", "b").is_verified("b").settles()
    assert mark(twin) is not None
    assert service.settles().part("canary") is None


def test_a_retry_lifts_the_mark_and_the_version_is_tried_again() -> None:
    service, version = a_rejected_version()
    revision = service.status["rejected"][0]["revision"]
    asks(service, "retry", revision=revision)
    assert "rejected" not in service.status
    version.settles()
    assert mark(version) is None
    assert service.settles().version("canary") == "churn-2"


def test_it_is_lifted_when_the_service_goes() -> None:
    service, version = a_rejected_version()
    service.is_deleted()
    assert mark(version.settles()) is None


def test_where_every_version_is_marked_a_new_service_says_so() -> None:
    service, _ = a_rejected_version()
    service.world.drop(Key(MODEL_VERSIONS, NAMESPACE, "churn-1"))
    newcomer = a_service(service.world, version=None, name="newcomer").settles()
    assert newcomer.reason == "ModelQuarantined"


def test_what_was_rolled_back_because_nobody_called_it_is_not_marked() -> None:
    world = a_world()
    a_version(world).is_verified()
    analysis = {"onNoData": "Rollback", "noDataSeconds": 300}
    service = a_service(world, version=None, replicas=2, rollout=rollout(analysis=analysis)).serves(2)
    version = a_version(world, "churn-2", "b").is_verified("b")
    service.settles().has_ready(1).settles()
    after(service, 365)
    assert service.status["lastDecision"]["reason"] == "NotMeasured"
    assert mark(version.settles()) is None
    assert a_service(world, version=None, name="other").settles().version("canary") == "churn-2"
    after(service, 10_000)
    assert service.part("canary") is None, "it is not tried again by itself"


def test_what_somebody_aborted_is_passed_over_by_this_service_alone() -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world, version=None, replicas=2, rollout=rollout()).serves(2)
    version = a_version(world, "churn-2", "b").is_verified("b")
    service.settles().has_ready(1).settles()
    revision = service.revision("canary")
    asks(service, "abort", by="alice")
    assert (service.part("canary"), service.is_ready) == (None, True)
    told = f"churn-2 (revision {revision}: Aborted, asked for by alice (modelwright-cli))"
    assert service.message == f"ModelVersion churn-1 has the traffic; passed over: {told}"
    assert mark(version.settles()) is None
    assert a_service(world, version=None, name="other").settles().version("canary") == "churn-2"
