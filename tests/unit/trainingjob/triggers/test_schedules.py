"""Runs by schedule: each time once, at most one after a pause, and whatever the clock does, never twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from unit.given.resources import TrainingJob, a_training_job, a_world

HOURLY = {"schedule": "0 * * * *"}
STARTED, MISSED = ("Schedule", "Started", "Schedule"), ("Schedule", "Skipped", "ConcurrentRun")


def a_trained_job(**spec: Any) -> TrainingJob:
    """A TrainingJob whose first run has succeeded."""
    return a_training_job(a_world(), **spec).succeeds()


def at(job: TrainingJob, text: str) -> TrainingJob:
    """The clock shows a time of that first day, and the operator looks."""
    job.world.api.now = datetime.fromisoformat(f"2026-01-01T{text}:00+00:00")
    return job.settles()


def runs(job: TrainingJob) -> int:
    """How many runs there have been."""
    return int(job.run["number"])


def test_a_run_starts_when_its_time_comes_and_says_so() -> None:
    job = a_trained_job(triggers=HOURLY)
    assert job.status["triggers"]["nextScheduleTime"] == "2026-01-01T01:00:00Z"

    at(job, "00:59")
    assert runs(job) == 1
    at(job, "01:00")

    assert runs(job) == 2
    assert job.run["cause"] == {
        "trigger": "Schedule",
        "at": "2026-01-01T01:00:00Z",
        "evidence": {"scheduleTime": "2026-01-01T01:00:00Z"},
    }
    assert job.decision["message"] == "run 2 starts: its time has come by the schedule"
    assert job.decision["run"] == 2
    assert job.status["triggers"]["nextScheduleTime"] == "2026-01-01T02:00:00Z"


def test_the_operator_comes_back_at_that_time_by_itself() -> None:
    job = a_trained_job(triggers=HOURLY)

    assert job.world.plan(job.key).requeue_at == datetime.fromisoformat("2026-01-01T01:00:00+00:00")


def test_the_decision_and_its_run_are_one_write() -> None:
    job = a_trained_job(triggers=HOURLY)
    job.world.api.now = datetime.fromisoformat("2026-01-01T01:00:00+00:00")

    job.looks()

    assert job.run["state"] == "Pending"
    assert job.decision["run"] == job.run["number"] == 2
    assert job.status["triggers"]["lastScheduleTime"] == "2026-01-01T01:00:00Z"


def test_of_all_that_were_missed_in_days_one_starts() -> None:
    job = a_trained_job(triggers=HOURLY)

    job.world.after(3 * 86400 + 600)
    job.settles().succeeds()

    assert runs(job) == 2
    assert job.run["cause"]["evidence"]["scheduleTime"] == "2026-01-04T00:00:00Z"


def test_what_is_too_late_does_not_start() -> None:
    job = a_trained_job(triggers={**HOURLY, "startingDeadlineSeconds": 60})

    at(job, "01:02")

    assert runs(job) == 1
    assert job.decided()[0] == ("Schedule", "Skipped", "StartingDeadlineExceeded")


def test_a_time_during_a_run_is_lost_for_good() -> None:
    job = a_trained_job(triggers=HOURLY)
    at(job, "01:00")

    at(job, "02:00")
    job.succeeds()
    at(job, "02:30")

    assert runs(job) == 2
    assert job.decided()[:2] == [MISSED, STARTED]
    assert "run 2 is under way, and concurrencyPolicy is Forbid" in job.decision["message"]


def test_times_that_are_lost_one_after_the_other_take_one_place_in_the_history() -> None:
    job = a_trained_job(triggers=HOURLY)
    for hour in range(1, 9):
        at(job, f"{hour:02}:00")

    assert job.decided() == [MISSED, STARTED, ("SpecChange", "Started", "SpecChange")]
    assert job.status["triggers"]["lastScheduleTime"] == "2026-01-01T08:00:00Z"


def test_a_run_takes_the_place_of_another_if_the_spec_says_so() -> None:
    job = a_trained_job(triggers=HOURLY, brakes={"concurrencyPolicy": "Replace"})
    at(job, "01:00")

    at(job, "02:00")

    assert runs(job) == 3
    before = job.status["history"][0]
    assert (before["number"], before["state"], before["reason"]) == (2, "Superseded", "Replaced")
    assert job.jobs == ["churn-3"]


def test_a_run_that_has_published_is_registered_before_another_takes_its_place() -> None:
    job = a_trained_job(triggers=HOURLY, brakes={"concurrencyPolicy": "Replace"})
    at(job, "01:00").pod().finishes()
    job.job_completes()

    at(job, "02:00")

    assert runs(job) == 3
    assert "churn-2" in job.versions


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_clock_that_jumps_by_an_hour_doubles_nothing(jump: int) -> None:
    job = a_trained_job(triggers=HOURLY)
    at(job, "05:00").succeeds()
    assert runs(job) == 2

    job.world.after(jump)
    job.settles()
    job.world.after(-jump)
    job.settles()
    for _ in range(30):
        job.world.after(60)
        job.settles()

    ticks = [run["cause"]["evidence"]["scheduleTime"] for run in job.status["history"][:-1]]
    ticks.append(job.run["cause"]["evidence"]["scheduleTime"])
    assert len(set(ticks)) == len(ticks)


def test_another_schedule_begins_anew() -> None:
    job = a_trained_job(triggers={"schedule": "0 12 * * *"})

    at(job, "10:30")
    job.changes(triggers={"schedule": "0 10 * * *"}).settles()

    assert runs(job) == 1, "ten o'clock has passed before it was asked for"
    assert job.status["triggers"]["nextScheduleTime"] == "2026-01-02T10:00:00Z"


def test_a_change_of_the_triggers_starts_no_run() -> None:
    job = a_trained_job()

    job.changes(triggers=HOURLY, brakes={"cooldownSeconds": 60}, suspend=True).settles()

    assert runs(job) == 1


def test_a_change_of_the_recipe_at_the_time_of_the_schedule_is_one_run() -> None:
    job = a_trained_job(triggers=HOURLY)
    job.world.api.now = datetime.fromisoformat("2026-01-01T01:00:00+00:00")

    job.changes(seed=1).settles()

    assert runs(job) == 2
    assert job.run["cause"]["trigger"] == "SpecChange"
    assert job.decided()[0] == MISSED


def test_a_suspended_job_starts_none_and_does_not_make_up_for_it() -> None:
    job = a_trained_job(triggers=HOURLY, suspend=True)
    at(job, "01:00")
    assert job.decided()[0] == ("Schedule", "Skipped", "Suspended")
    assert job.condition("TriggersActive")["reason"] == "Suspended"
    assert job.is_ready

    at(job, "01:10").changes(suspend=False).settles()

    assert runs(job) == 1
    assert job.condition("TriggersActive")["status"] == "True"


@pytest.mark.parametrize(
    ("triggers", "said"),
    [
        ({"schedule": "0 0 31 2 *"}, "the schedule 0 0 31 2 * cannot be read"),
        ({"schedule": "99 * * * *"}, "the schedule 99 * * * * cannot be read"),
        ({"schedule": "@daily", "timeZone": "Mars/Olympus"}, "there is no time zone Mars/Olympus"),
    ],
)
def test_an_invalid_schedule_is_reported_and_ends_nothing(triggers: dict[str, str], said: str) -> None:
    job = a_training_job(a_world(), triggers=triggers).settles()
    assert job.condition("TriggersActive")["reason"] == "InvalidSchedule"
    assert job.run["state"] == "Running"

    job.succeeds()
    assert job.is_stalled
    assert (job.reason, job.versions) == ("InvalidSchedule", ["churn-1"])
    assert said in job.message
    assert "run 1 made ModelVersion churn-1" in job.message

    job.changes(triggers=HOURLY).settles()
    assert job.is_ready


def test_nothing_is_lost_or_doubled_with_a_lost_status() -> None:
    job = a_trained_job(triggers=HOURLY)
    at(job, "01:00").succeeds()

    job.loses_its_status().settles()

    assert runs(job) == 2
    assert job.run["cause"]["evidence"] == {"scheduleTime": "2026-01-01T01:00:00Z"}
    assert job.status["triggers"]["nextScheduleTime"] == "2026-01-01T02:00:00Z"


def test_the_cause_is_in_the_lineage_of_the_version() -> None:
    job = a_trained_job(triggers=HOURLY)

    at(job, "01:00").succeeds("b")

    assert job.version.body["spec"]["lineage"]["cause"] == {
        "trigger": "Schedule",
        "at": "2026-01-01T01:00:00Z",
        "evidence": {"scheduleTime": "2026-01-01T01:00:00Z"},
    }
