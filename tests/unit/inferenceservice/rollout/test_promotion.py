"""Who takes over as a whole, and who is taken back: blue-green, approval, the time after the promotion, undo."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.resources import InferenceService, ModelVersion, a_served_version, a_version
from unit.inferenceservice.rollout.test_canary import (
    STEPS,
    a_canary,
    after,
    measures,
    put,
    rollout,
    rule,
)
from unit.inferenceservice.test_requests import asks

from modelwright.inferenceservice.analysis.counts import StepCounts

BAKED = {"strategy": "Canary", "steps": [{"weight": 50, "holdSeconds": 10}], "bakeSeconds": 300}


def a_promoted_version(**more: Any) -> InferenceService:
    """churn-2 has just taken over from churn-1."""
    service = a_canary(**{**BAKED, **more})
    measures(service, {"Answered": 1000})
    after(service, 10)
    return service.has_ready(4).settles()


def answers(service: InferenceService, **codes: int) -> InferenceService:
    """What the pods of the revision that took over have answered since."""
    stable = service.part("stable")
    assert stable is not None
    counted = {code.removeprefix("http"): count for code, count in codes.items()}
    return put(service, StepCounts(since=stable["since"], direct=True, answered=counted)).settles()


def blue_green(**step: Any) -> InferenceService:
    """churn-1 serves, and churn-2 is asked for."""
    more = {"steps": [{"weight": 0, **step}]} if step else {}
    service = a_served_version(replicas=4, rollout={"strategy": "BlueGreen", **more})
    a_version(service.world, "churn-2", "b").is_verified("b")
    return service.changes(model={"version": "churn-2"}).settles()


def test_blue_green_starts_all_pods_and_switches_when_they_are_ready() -> None:
    service = blue_green()
    first, second = service.revision("stable"), service.revision("canary")
    assert service.deployed == {first: 4, second: 4}
    service.has_ready(4).settles()
    assert (service.version("stable"), service.traffic) == ("churn-2", second)
    assert service.revision("retired") == first


def test_blue_green_shows_both_until_its_step_ends_and_sends_nobody_to_the_new_one() -> None:
    service = blue_green(holdSeconds=60)
    service.has_ready(4).settles()
    canary = service.part("canary")
    assert canary is not None
    assert canary["url"] == f"http://{service.canary_name}.team.svc"
    assert rule(service)["weight"] == 0  # type: ignore[index]
    assert service.message == "ModelVersion churn-2 answers 0 % (step 1 of 1)"
    after(service, 60)
    assert service.version("stable") == "churn-2"


def test_blue_green_that_waits_for_mirrored_samples_says_so() -> None:
    service = blue_green(mirror=50, holdSeconds=0)
    service.has_ready(4).settles()
    after(measures(service, {}), 1000)
    assert service.message == (
        "ModelVersion churn-2 answers 0 % (step 1 of 1); waits for errorRate: 0 of 100 samples (no request has come)"
    )


def test_a_step_with_approval_ends_only_when_the_revision_is_approved() -> None:
    service = blue_green(approval=True, holdSeconds=0)
    service.has_ready(4).settles()
    after(service, 100_000)
    assert service.reason == "AwaitingApproval"
    assert service.revision("canary") in service.message
    told = {"strategy": "BlueGreen", "steps": [{"weight": 0, "approval": True}]}
    service.changes(rollout={**told, "approvedRevision": "0123456789"}).settles()
    assert service.reason == "AwaitingApproval", "another revision was approved"
    service.changes(rollout={**told, "approvedRevision": service.revision("canary")}).settles()
    after(service, 60)
    assert service.version("stable") == "churn-2"


def test_a_step_with_approval_ends_when_somebody_promotes() -> None:
    service = blue_green(approval=True, holdSeconds=0)
    service.has_ready(4).settles()
    asks(service, "promote")
    assert service.version("stable") == "churn-2"


def test_what_took_over_is_baked_and_then_done() -> None:
    service = a_promoted_version()
    assert (service.version("stable"), service.reason) == ("churn-2", "Baking")
    answers(service, http200=10_000, http400=500)
    after(service, 290)
    assert service.version("retired") == "churn-1", "there is one to go back to as long as it is baked"
    after(service, 20)
    assert (service.reason, service.is_ready) == ("Serving", True)
    after(service, 30)
    assert service.part("retired") is None


def test_what_fails_after_it_took_over_is_taken_back_in_one_switch() -> None:
    service = a_promoted_version()
    first, second = service.revision("retired"), service.revision("stable")

    answers(service, http200=100, http500=100)

    assert (service.traffic, service.version("stable")) == (first, "churn-1")
    assert service.deployed == {first: 4, second: 4}
    assert (service.reason, service.kstatus) == ("RolledBack", "Failed")
    assert "churn-2 was rolled back: ErrorRateTooHigh" in service.message
    decision = service.status["lastDecision"]
    assert (decision["verdict"], decision["revision"], decision["value"]) == ("Rollback", second, 0.5)
    assert rule(service) is None
    assert rule(service, "retired")["revision"] == first, "who still calls it is led to the other"  # type: ignore[index]
    after(service, 10_000)
    assert service.deployed == {first: 4}
    assert (service.version("stable"), service.reason) == ("churn-1", "RolledBack")


def test_callers_mistakes_take_nothing_back() -> None:
    service = answers(a_promoted_version(), http400=1000, http404=50, NOT_FOUND=4, http200=5)
    assert (service.version("stable"), service.reason) == ("churn-2", "Baking")


def test_what_crashes_after_it_took_over_is_taken_back_with_the_words_of_its_end() -> None:
    service = a_promoted_version()
    service.starts("stable").crashes("server", 137, reason="OOMKilled")
    service.settles()
    assert service.version("stable") == "churn-1"
    assert "OutOfMemory" in service.message


def test_without_a_pod_to_go_back_to_nothing_is_taken_back() -> None:
    service = a_promoted_version()
    service.has_ready(0, "retired")
    answers(service, http500=1000)
    assert service.version("stable") == "churn-2"


def test_undo_gives_the_traffic_back_at_once_and_the_service_is_ready() -> None:
    service = a_promoted_version(bakeSeconds=0)
    second = service.revision("stable")
    asks(service, "undo", revision=second, by="alice")
    assert (service.version("stable"), service.traffic) == ("churn-1", service.revision("stable"))
    assert (service.reason, service.kstatus, service.part("canary")) == ("Undone", "Current", None)
    assert service.message == (
        "ModelVersion churn-2 was undone, asked for by alice (modelwright-cli); churn-1 has the traffic; "
        f"to try it again: modelwright rollout retry churn --revision {second}"
    )
    assert service.world.told.events[-1].message == service.message
    after(service, 10_000)
    assert (service.version("stable"), service.is_ready) == ("churn-1", True)
    asks(service, "retry", revision=second, token="t2")
    assert service.reason == "RevisionStarting"


def test_a_second_undo_goes_forward_again_in_one_switch() -> None:
    service = a_promoted_version(bakeSeconds=0)
    first, second = service.revision("retired"), service.revision("stable")
    asks(service, "undo", revision=second)
    asks(service, "undo", revision=first, token="t2", by="bob")
    assert (service.version("stable"), service.traffic, service.reason) == ("churn-2", second, "Serving")
    assert "rejected" not in service.status
    decision = service.status["lastDecision"]
    assert (decision["reason"], decision["requestedBy"]) == ("Redone", "bob (modelwright-cli)")
    assert [event.message for event in service.world.told.events if event.reason == "Redone"] == [
        f"the undo was undone: revision {second} has the traffic again, asked for by bob (modelwright-cli)"
    ]
    asks(service, "undo", revision=second, token="t3")
    assert service.version("stable") == "churn-1", "to and fro as long as both run"


def test_what_the_analysis_took_back_is_not_given_the_traffic_by_undo() -> None:
    service = answers(a_promoted_version(), http200=100, http500=100)
    asks(service, "undo", revision=service.revision("stable"))
    assert service.version("stable") == "churn-1"
    assert "lost the traffic, and not by an undo" in service.world.told.events[-1].message


def test_an_undo_is_not_undone_against_the_spec() -> None:
    service = a_promoted_version(bakeSeconds=0)
    asks(service, "undo", revision=service.revision("stable"))
    service.changes(model={"version": "churn-1"}).settles()
    asks(service, "undo", revision=service.revision("stable"), token="t2")
    assert (service.version("stable"), service.reason) == ("churn-1", "Serving")
    assert "spec.model asks for ModelVersion churn-1" in service.world.told.events[-1].message


@pytest.mark.parametrize("seconds", [0, 31])
def test_undo_of_what_is_not_there_is_told(seconds: int) -> None:
    service = a_promoted_version(bakeSeconds=0)
    after(service, seconds)
    revision = "0123456789" if seconds == 0 else service.revision("stable")
    asks(service, "undo", revision=revision)
    assert service.version("stable") == "churn-2"
    told = service.world.told.events[-1]
    assert (told.type, told.reason) == ("Warning", "RequestIgnored")
    assert ("does not have the traffic" if seconds == 0 else "spec.model") in told.message


def test_a_revert_soon_after_the_promotion_is_one_switch_without_steps() -> None:
    service = a_promoted_version(bakeSeconds=0)
    first = service.revision("retired")
    service.changes(model={"version": "churn-1"}).settles()
    assert (service.version("stable"), service.traffic, service.is_ready) == ("churn-1", first, True)


def test_to_and_fro_takes_the_steps_again() -> None:
    service = a_promoted_version(bakeSeconds=0)
    service.changes(model={"version": "churn-1"}).settles()
    service.changes(model={"version": "churn-2"}).settles()
    assert (service.version("stable"), service.version("canary")) == ("churn-1", "churn-2")


def test_a_canary_whose_container_ends_is_rolled_back() -> None:
    service = a_canary()
    service.starts().crashes("server", 137, reason="OOMKilled")
    service.settles()
    assert service.reason == "RolledBack"
    assert "OutOfMemory: server used more memory than its limit" in service.message
    assert service.status["lastDecision"]["metric"] == "restarts"
    assert service.status["rejected"][0]["reason"] == "OutOfMemory"
    assert not service.status["rejected"][0]["quarantine"], "restarts alone are no evidence about the model"


def test_as_many_restarts_as_are_allowed_are_none_too_many() -> None:
    service = a_canary(analysis={"maxRestarts": 1})
    service.starts().crashes("server", 1)
    assert service.settles().reason == "CanaryInProgress"


def test_so_many_looks_in_a_row_have_to_fail() -> None:
    service = a_canary(analysis={"consecutiveFailures": 3})
    for look, failed in enumerate((50, 60), start=1):
        measures(service, {"Answered": 50, "Failed": failed}, look=look).settles()
        assert service.reason == "CanaryInProgress"
    measures(service, {"Answered": 50, "Failed": 60}, look=2).settles()
    assert service.reason == "CanaryInProgress", "the same look again is no other one"
    measures(service, {"Answered": 100_000, "Failed": 60}, look=3).settles()
    assert "failedLooks" not in service.status["canary"]
    for look in (4, 5, 6):
        assert service.reason == "CanaryInProgress"
        measures(service, {"Answered": 50, "Failed": 70}, look=look).settles()
    assert service.reason == "RolledBack"


def test_without_data_the_policy_may_be_to_pause_until_somebody_resumes() -> None:
    service = a_canary(analysis={"onNoData": "Pause", "noDataSeconds": 100})
    after(service, 200)
    assert service.reason == "CanaryPaused"
    assert service.status["lastDecision"]["verdict"] == "Pause"
    measures(service, {"Answered": 1000})
    after(service, 1000)
    assert service.reason == "CanaryPaused"
    asks(service, "resume")
    assert service.status["canary"]["step"] == 1


def test_what_the_analysis_says_stands_in_the_status() -> None:
    service = a_canary()
    after(service, 70)
    assert service.status["canary"]["verdict"] == "NotMeasured"
    measures(service, {"Answered": 5}).settles()
    assert service.status["canary"]["verdict"] == "CollectingSamples"
    measures(service, {"Answered": 500}).settles()
    assert service.status["canary"]["verdict"] == "Passing"


def test_every_step_is_told_as_an_event() -> None:
    service = a_canary()
    measures(service, {"Answered": 1000})
    after(service, 60)
    told = [event.message for event in service.world.told.events if event.reason == "CanaryAdvanced"]
    assert told == ["step 1 ended: ErrorRateWithinLimit: errorRate is 0, the limit 0.01 (1,000 samples)"]


def test_steps_of_a_canary_are_those_that_were_asked_for() -> None:
    assert rollout() == {"strategy": "Canary", "steps": STEPS}


def is_rejected(service: InferenceService, name: str) -> None:
    """A person rejects a version."""
    version = ModelVersion.found(service.world, name)
    version.changes(approvals=[{"by": "ann", "decision": "Reject", "reason": "unfair"}]).settles()


@pytest.mark.parametrize("model", [None, {"name": "churn", "track": "Latest"}], ids=["named", "followed"])
def test_undo_does_not_give_the_traffic_to_a_version_that_was_rejected(model: dict[str, str] | None) -> None:
    service = a_promoted_version(bakeSeconds=0)
    if model is not None:
        service.world.api.edit(service.key, lambda body: body["spec"].update(model=model))
        service.world.watch()
    is_rejected(service.settles(), "churn-1")

    asks(service, "undo", revision=service.revision("stable"), by="bob")

    assert (service.version("stable"), service.is_ready) == ("churn-2", True)
    event = service.world.told.events[-1]
    assert (event.type, event.reason) == ("Warning", "RequestIgnored")
    assert "ModelVersion churn-1 is not Ready: Rejected: " in event.message
    assert event.message.endswith("ask for another version in spec.model, or undo again once it is Ready")


def test_undo_of_an_undo_does_not_either() -> None:
    service = a_promoted_version(bakeSeconds=0)
    first, second = service.revision("retired"), service.revision("stable")
    asks(service, "undo", revision=second)
    is_rejected(service, "churn-2")

    asks(service, "undo", revision=first, token="t2")

    assert service.version("stable") == "churn-1"
    assert "ModelVersion churn-2 is not Ready: Rejected: " in service.world.told.events[-1].message


def test_a_rollback_to_a_version_that_was_rejected_says_so() -> None:
    service = a_promoted_version()
    is_rejected(service, "churn-1")

    answers(service, http200=100, http500=100)

    assert (service.version("stable"), service.reason) == ("churn-1", "RolledBack")
    assert "; churn-1 keeps the traffic, and is no longer Ready: Rejected: " in service.message
    assert "is no longer Ready" in service.world.told.events[-1].message
    service.changes(replicas=3).settles()
    assert "is no longer Ready" in service.message, "as long as it is so"
