"""`modelwright run`: one run for each token, which heeds concurrencyPolicy alone."""

from __future__ import annotations

from unit.given.lives import back_up, lose, restore
from unit.given.resources import a_training_job, a_world

from modelwright.common.resources import MODEL_VERSIONS, TRAINING_JOBS


def test_a_request_starts_one_run_and_its_name_is_in_the_cause() -> None:
    job = a_training_job(a_world()).succeeds()

    job.is_asked("t1").succeeds("b")

    assert job.run["number"] == 2
    assert job.run["cause"]["trigger"] == "Manual"
    assert job.run["cause"]["evidence"] == {"requestedBy": "ada", "token": "t1"}
    assert job.versions == ["churn-1", "churn-2"]
    assert "knownDigest" not in job.run


def test_the_same_token_starts_no_other_run() -> None:
    job = a_training_job(a_world()).succeeds().is_asked("t1").succeeds()

    job.is_asked("t1").settles()
    job.is_asked("t2").settles()

    assert job.run["number"] == 3


def test_a_request_during_a_run_is_refused_for_good() -> None:
    job = a_training_job(a_world()).succeeds().is_asked("t1").settles()

    job.is_asked("t2").succeeds()

    assert job.run["number"] == 2
    assert job.decided()[0] == ("Manual", "Skipped", "ConcurrentRun")
    assert job.decision["evidence"]["token"] == "t2"


def test_a_request_may_take_the_place_of_a_run() -> None:
    job = (
        a_training_job(a_world(), brakes={"concurrencyPolicy": "Replace"}).succeeds().is_asked("t1").settles()
    )

    job.is_asked("t2").settles()

    assert job.run["number"] == 3


def test_a_request_heeds_neither_brakes_nor_suspension() -> None:
    brakes = {"cooldownSeconds": 3600, "maxRunsPerDay": 1, "budgetSeconds": 1}
    job = a_training_job(a_world(), brakes=brakes, suspend=True).succeeds()

    job.is_asked("t1").settles()

    assert job.run["number"] == 2


def test_a_token_that_is_none_is_refused_once() -> None:
    job = a_training_job(a_world()).succeeds()

    job.is_asked("not a token").settles()

    assert job.run["number"] == 1
    assert job.decided() == [("Manual", "Skipped", "MalformedRequest")]


def test_a_request_that_comes_with_the_object_is_fulfilled_by_its_first_run() -> None:
    job = a_training_job(a_world()).is_asked("t1").succeeds()

    job.settles()

    assert job.run["number"] == 1


def test_a_lost_status_does_not_repeat_a_request() -> None:
    job = a_training_job(a_world()).succeeds().is_asked("t1").succeeds("b")

    job.loses_its_status().settles()

    assert job.run["number"] == 2


def test_a_restored_backup_does_not_repeat_a_request() -> None:
    job = a_training_job(a_world()).succeeds().is_asked("t1").succeeds("b")
    kept = back_up(job.world, TRAINING_JOBS, MODEL_VERSIONS)
    lose(job.world, [*kept, job.job_key])

    for key, body in kept.items():
        restore(job.world, key, body)
    job.settles()

    assert job.run["number"] == 2
