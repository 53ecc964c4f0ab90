"""Runs that fail one after the other: triggers stop, and say so."""

from __future__ import annotations

from datetime import datetime

from unit.given.resources import TrainingJob, a_training_job, a_world

HOURLY = {"schedule": "0 * * * *"}


def a_broken_job(failures: int, **brakes: int) -> TrainingJob:
    """A TrainingJob of which so many scheduled runs have failed."""
    job = a_training_job(a_world(), triggers=HOURLY, brakes=brakes).succeeds()
    for hour in range(1, failures + 1):
        comes(job, hour)
        job.fails()
    return job


def comes(job: TrainingJob, hour: int) -> TrainingJob:
    """An hour of the schedule comes."""
    job.world.api.now = datetime.fromisoformat(f"2026-01-01T{hour:02}:00:00+00:00")
    return job.settles()


def test_three_failed_runs_in_a_row_stop_the_triggers_and_are_reported() -> None:
    job = a_broken_job(3)
    assert job.status["triggers"]["failuresInARow"] == 3
    assert job.status["triggers"]["suspended"] is True

    comes(job, 4)

    assert job.run["number"] == 4
    assert job.decided()[0] == ("Schedule", "Skipped", "FailuresInARow")
    condition = job.condition("TriggersActive")
    assert (condition["status"], condition["reason"]) == ("False", "FailuresInARow")
    assert "suspendAfterFailures: 3" in condition["message"]
    assert job.reason == "TargetMissing"
    assert [e.type for e in job.world.told.events if e.reason == "FailuresInARow"] == ["Warning"]


def test_a_success_between_counts_them_anew() -> None:
    job = a_broken_job(2)
    comes(job, 3).succeeds("b")

    comes(job, 4)

    assert job.run["number"] == 5
    assert "failuresInARow" not in job.status["triggers"]


def test_a_change_of_the_recipe_ends_the_suspension_and_runs() -> None:
    job = a_broken_job(3)

    job.changes(seed=1).succeeds("b")

    assert job.condition("TriggersActive")["status"] == "True"
    assert comes(job, 5).run["number"] == 6


def test_any_change_of_the_spec_ends_the_suspension() -> None:
    job = a_broken_job(3)

    job.changes(backoffLimit=1, suspend=False).settles()

    assert "suspended" not in job.status["triggers"]


def test_a_successful_run_by_hand_ends_the_suspension() -> None:
    job = a_broken_job(3)

    job.is_asked("t1").succeeds("b")

    assert job.condition("TriggersActive")["status"] == "True"
    assert comes(job, 5).run["number"] == 6


def test_a_failed_run_by_hand_does_not_count() -> None:
    job = a_broken_job(2)

    job.is_asked("t1").fails()

    assert job.status["triggers"]["failuresInARow"] == 2


def test_runs_go_on_if_the_spec_says_never() -> None:
    assert comes(a_broken_job(4, suspendAfterFailures=0), 5).run["number"] == 6


def test_runs_that_are_superseded_or_skipped_are_no_failures() -> None:
    job = a_training_job(
        a_world(), triggers=HOURLY, brakes={"suspendAfterFailures": 1, "concurrencyPolicy": "Replace"}
    ).succeeds()
    comes(job, 1)
    comes(job, 2).finds_no_other_data()

    assert comes(job, 3).run["number"] == 4
