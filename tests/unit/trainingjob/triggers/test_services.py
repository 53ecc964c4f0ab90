"""Runs because a service drifts or its score is too low: with the evidence, once for each window, and not in haste."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import InferenceService, TrainingJob, a_service, a_training_job, a_version, a_world

from modelwright.common.times import to_timestamp

REFERENCE = {"serviceRef": {"name": "churn"}}
DRIFT = {"onDrift": REFERENCE}
WATCHED = {
    "drift": {},
    "feedback": {"secretRef": {"name": "keys"}, "metrics": [{"name": "accuracy", "min": 0.8}]},
}
FIRST, SECOND, THIRD = (f"2026-01-01T0{hour}:00:00Z" for hour in (1, 2, 3))
FAILS = {**words.GATES[0], "value": -0.2, "low": -0.3, "high": -0.1}
LOW = {
    "name": "accuracy",
    "value": 0.71,
    "low": 0.68,
    "high": 0.74,
    "samples": 900,
    "min": 0.8,
    "verdict": "Fail",
}


def a_watched_model(brakes: Any = None, **spec: Any) -> tuple[TrainingJob, InferenceService]:
    """A model that its TrainingJob has made, which a service serves and watches."""
    if brakes is not None:
        spec["brakes"] = brakes
    job = a_training_job(a_world(), **{"triggers": DRIFT, **spec}).succeeds()
    service = a_service(job.world, None, monitoring=WATCHED).serves()
    job.world.after(3600)
    return job, service


def test_a_drift_starts_a_run_with_the_evidence() -> None:
    job, service = a_watched_model()

    service.drifts(FIRST)
    job.settles()

    assert job.run["number"] == 2
    assert job.run["cause"] == {
        "trigger": "Drift",
        "at": to_timestamp(job.world.now - timedelta(seconds=1)),
        "evidence": {
            "service": "churn", "version": "churn-1", "windowStart": FIRST,
            "feature": "plan", "statistic": "psi", "value": 0.31, "threshold": 0.1,
        },
    }  # fmt: skip
    assert job.decision["message"] == (
        "run 2 starts: InferenceService churn drifts: psi of plan is 0.31, the limit is 0.1"
    )
    assert job.run["knownDigest"] == words.DATA_DIGEST


def test_a_low_score_starts_a_run_with_the_evidence() -> None:
    job, service = a_watched_model(triggers={"onScore": REFERENCE})

    service.shows("ScoreBelowTarget", windowStart=FIRST, scores=[LOW])
    job.settles()

    assert job.run["cause"]["trigger"] == "Score"
    assert job.run["cause"]["evidence"] == {
        "service": "churn", "version": "churn-1", "windowStart": FIRST,
        "metric": "accuracy", "value": 0.71, "threshold": 0.8,
    }  # fmt: skip
    assert "accuracy of InferenceService churn is 0.71, the limit is 0.8" in job.decision["message"]


def test_a_score_is_a_cause_by_the_window_of_its_labels() -> None:
    job, service = a_watched_model(triggers={"onScore": REFERENCE})

    service.shows("ScoreBelowTarget", windowStart=FIRST, labelsStart=SECOND, scores=[LOW])
    job.settles()

    assert job.run["cause"]["evidence"]["windowStart"] == SECOND


def test_a_score_above_its_upper_limit_names_that_limit() -> None:
    job, service = a_watched_model(triggers={"onScore": REFERENCE})

    service.shows(
        "ScoreBelowTarget", windowStart=FIRST, scores=[{**LOW, "name": "mae", "value": 3, "max": 2}]
    )
    job.settles()

    assert job.run["cause"]["evidence"]["threshold"] == 2


def test_a_window_is_a_cause_only_once() -> None:
    job, service = a_watched_model(brakes={"cooldownSeconds": 0})
    service.drifts(FIRST)
    job.succeeds("b")

    job.world.after(7200)
    job.settles()
    assert job.run["number"] == 2

    service.drifts(SECOND)
    assert job.settles().run["number"] == 3


def test_a_drift_in_the_cooldown_waits_for_its_end_and_starts_then() -> None:
    job, service = a_watched_model(brakes={"cooldownSeconds": 7200})

    service.drifts(FIRST)
    job.settles()
    assert job.run["number"] == 1
    assert job.decided()[0] == ("Drift", "Waiting", "Cooldown")
    assert "no run within 2 h of the start of run 1" in job.decision["message"]

    job.world.after(3600)
    job.settles()
    assert job.run["number"] == 2


def test_a_drift_that_is_gone_when_the_cooldown_ends_starts_nothing() -> None:
    job, service = a_watched_model(brakes={"cooldownSeconds": 7200})
    service.drifts(FIRST)
    job.settles()

    service.shows(windowStart=SECOND, verdict="NoDrift")
    job.world.after(3600)

    assert job.settles().run["number"] == 1


def test_a_drift_that_comes_and_goes_in_the_cooldown_writes_nothing_again() -> None:
    job, service = a_watched_model(brakes={"cooldownSeconds": 86400})
    service.drifts(FIRST)
    job.settles()

    for hour in range(2, 9):
        service.shows(windowStart=f"2026-01-01T0{hour}:00:00Z", verdict="NoDrift")
        assert not job.looks_once()
        service.drifts(f"2026-01-01T0{hour}:30:00Z")
        assert not job.looks_once()


def test_a_drift_that_comes_and_goes_for_a_day_starts_no_more_runs_than_the_spec_allows() -> None:
    job, service = a_watched_model(brakes={"maxRunsPerDay": 4, "cooldownSeconds": 0})

    for minute in range(0, 24 * 60, 60):
        service.drifts(f"2026-01-02T{minute // 60:02}:{minute % 60:02}:00Z")
        if job.settles().run["state"] == "Running":
            job.succeeds("b")
        service.shows(windowStart=f"2026-01-02T{minute // 60:02}:{minute % 60:02}:01Z", verdict="NoDrift")
        job.settles()
        job.world.after(3600)

    assert job.run["number"] <= 1 + 4
    assert ("Drift", "Waiting", "MaxRunsPerDay") in job.decided()


def test_a_drift_during_a_rollout_waits_for_its_end() -> None:
    job, service = a_watched_model(brakes={"cooldownSeconds": 0})
    a_version(job.world, "churn-9", "c").is_verified()
    service.settles()
    assert service.version("canary") == "churn-9"

    service.drifts(FIRST)
    job.settles()
    assert job.decided()[0] == ("Drift", "Waiting", "RolloutUnderWay")

    service.has_ready(1).settles()
    assert service.part("canary") is None
    service.drifts(SECOND, version="churn-9")
    assert job.settles().run["number"] == 2


@pytest.mark.parametrize(
    "shown",
    [
        {"verdict": "Inconclusive"},
        {"inARow": 1},
        {"rowsInARow": 499},
        {"version": "churn-7"},
        {"windowStart": None},
    ],
)
def test_what_is_no_drift_by_the_spec_starts_nothing(shown: dict[str, Any]) -> None:
    demands = {"onDrift": {**REFERENCE, "consecutive": 2, "minNewSamples": 500}}
    job, service = a_watched_model(triggers=demands)

    service.drifts(FIRST, **shown)

    assert job.settles().run["number"] == 1


@pytest.mark.parametrize(
    ("monitoring", "model", "reason"),
    [({}, "churn", "NotMonitored"), (WATCHED, "other", "OtherModel")],
)
def test_a_service_that_cannot_say_it_is_reported(monitoring: Any, model: str, reason: str) -> None:
    world = a_world()
    a_version(world, "other-1", "c", model=model).is_verified()
    job = a_training_job(world, triggers=DRIFT).succeeds()
    service = a_service(world, "other-1", monitoring=monitoring).serves()
    service.drifts(FIRST)

    job.settles()

    assert job.run["number"] == 1
    assert job.condition("TriggersActive")["reason"] == reason
    assert job.is_ready


def test_a_service_that_is_not_there_is_reported() -> None:
    job = a_training_job(a_world(), triggers=DRIFT).succeeds()

    assert job.condition("TriggersActive")["reason"] == "ServiceNotFound"
    assert "there is no InferenceService churn" in job.condition("TriggersActive")["message"]


def test_a_trigger_that_cannot_work_beside_one_that_does_is_reported_once() -> None:
    job = a_training_job(a_world(), triggers={**DRIFT, "schedule": "@hourly"}).succeeds()
    for _ in range(3):
        job.world.after(3600)
        job.succeeds()

    condition = job.condition("TriggersActive")
    assert (condition["status"], condition["reason"]) == ("True", "PartlyActive")
    assert "there is no InferenceService churn" in condition["message"]
    assert job.run["number"] == 4
    assert len([event for event in job.world.told.events if event.reason == "PartlyActive"]) == 1


def test_equal_data_ends_the_run_before_training_and_changes_nothing() -> None:
    job, service = a_watched_model()
    service.drifts(FIRST)
    job.settles().finds_no_other_data()

    assert (job.run["state"], job.run["reason"]) == ("Skipped", "DataUnchanged")
    assert job.is_ready
    assert job.reason == "RunSucceeded"
    assert job.message.endswith("run 2 found no other data and trained nothing")
    assert job.status["latestModelVersion"] == "churn-1"
    assert job.versions == ["churn-1"]
    assert "failuresInARow" not in job.status["triggers"]


def test_runs_that_are_skipped_do_not_push_the_last_real_one_out() -> None:
    job = a_training_job(a_world(), triggers={"schedule": "@hourly"}).succeeds()
    for _ in range(15):
        job.world.after(3600)
        job.settles().finds_no_other_data()

    assert job.run["number"] == 16
    assert job.jobs == []
    assert [run["state"] for run in job.status["history"]] == ["Skipped", "Skipped", "Succeeded"]
    assert job.run["knownDigest"] == words.DATA_DIGEST
    assert job.is_ready


def test_a_drift_that_no_other_data_can_end_is_tried_once_a_day() -> None:
    job, service = a_watched_model()
    service.drifts(FIRST)
    job.settles().finds_no_other_data()

    service.drifts(SECOND)
    job.settles()
    assert job.run["number"] == 2
    assert job.decided()[0] == ("Drift", "Waiting", "DataUnchanged")

    job.world.after(86400)
    assert job.settles().run["number"] == 3


def test_a_drift_without_other_data_is_tried_after_the_pause_that_the_spec_names() -> None:
    job, service = a_watched_model(brakes={"cooldownSeconds": 60})
    service.drifts(FIRST)
    job.settles().finds_no_other_data()
    service.drifts(SECOND)
    job.settles()
    assert job.decided()[0] == ("Drift", "Waiting", "Cooldown")

    job.world.after(60)

    assert job.settles().run["number"] == 3


def test_data_that_a_scheduled_run_has_found_unchanged_is_not_looked_at_again_for_a_drift() -> None:
    job, service = a_watched_model(triggers={**DRIFT, "schedule": "@daily"})
    job.world.after(23 * 3600)
    job.settles().finds_no_other_data()
    assert job.run["cause"]["trigger"] == "Schedule"

    service.drifts(FIRST)

    assert job.settles().run["number"] == 2
    assert job.decided()[0] == ("Drift", "Waiting", "DataUnchanged")


def test_a_drift_does_not_replace_the_run_that_may_end_it() -> None:
    job, service = a_watched_model(brakes={"cooldownSeconds": 0, "concurrencyPolicy": "Replace"})
    service.drifts(FIRST)
    job.settles()

    service.drifts(SECOND)
    job.settles()

    assert job.run["number"] == 2
    assert job.decided()[0] == ("Drift", "Waiting", "ConcurrentRun")


def test_a_drift_waits_for_the_people_who_have_to_approve_the_last_version() -> None:
    world = a_world()
    a_version(world, "churn-0", "c").is_verified("c")
    service = a_service(world, "churn-0", monitoring=WATCHED).serves()
    brakes = {"cooldownSeconds": 0}
    job = a_training_job(world, triggers=DRIFT, brakes=brakes, approval={"required": 1}).succeeds()
    assert job.reason == "AwaitingApproval"

    service.drifts(FIRST)
    job.settles()

    assert job.run["number"] == 1
    assert job.decided()[0] == ("Drift", "Waiting", "AwaitingApproval")


def test_a_drift_does_not_train_at_once_again_what_is_not_served() -> None:
    job, service = a_watched_model()
    service.drifts(FIRST)
    job.succeeds("b", gates=[FAILS, words.GATES[1]])
    assert job.reason == "GateFailed"

    service.drifts(SECOND)
    job.settles()
    assert job.decided()[0] == ("Drift", "Waiting", "NotServed")

    job.world.after(86400)
    assert job.settles().run["number"] == 3


def test_a_forced_run_trains_with_equal_data_too() -> None:
    job, service = a_watched_model(triggers={"onDrift": {**REFERENCE, "force": True}})

    service.drifts(FIRST)
    job.settles()

    assert "knownDigest" not in job.run


def test_the_reason_of_equal_data_is_a_failure_if_no_digest_was_given() -> None:
    job = a_training_job(a_world()).settles().finds_no_other_data()

    assert (job.run["state"], job.run["reason"]) == ("Failed", "DataUnchanged")


def test_a_model_that_has_been_rolled_back_is_made_again_and_not_served() -> None:
    job, service = a_watched_model(
        brakes={"cooldownSeconds": 0}, triggers={"onDrift": {**REFERENCE, "force": True}}
    )
    rejection = {
        "version": "churn-0", "revision": "churn-0-abc", "reason": "ErrorRateTooHigh", "message": "too many errors",
        "digest": words.digest("b"), "scope": "Model", "quarantine": True, "at": FIRST,
    }  # fmt: skip
    job.world.edit(service.key, status={"rejected": [rejection]})
    service.drifts(FIRST)

    job.succeeds("b")
    service.settles()

    assert service.version("stable") == "churn-1"
    assert service.part("canary") is None
    assert job.reason == "ModelQuarantined"
    assert job.decided("trigger", "outcome", "reason", "run")[0] == ("Drift", "Skipped", "Quarantined", 2)
