"""Looks at the data: one small Job at a time, never oftener than the spec says, and a run when it has changed."""

from __future__ import annotations

from typing import Any

from unit.given.pods import Pod
from unit.given.resources import TrainingJob, a_training_job, a_world
from unit.given.words import fetched
from unit.given.world import NAMESPACE

from modelwright.common.resources import JOBS
from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Key

EVERY = {"onDataChange": {"intervalSeconds": 600}}
PROBE = Key(JOBS, NAMESPACE, "churn-probe")


def a_trained_job(marker: str | None = "one", **spec: Any) -> TrainingJob:
    """A TrainingJob whose first run has seen data with this marker."""
    job = a_training_job(a_world(), **{"triggers": EVERY, **spec}).settles()
    job.pod().finishes(fetched={**fetched(), **({"marker": marker} if marker else {})})
    job.job_completes().settles()
    job.version.settles()
    return job.settles()


def looks_at(job: TrainingJob, marker: str | None, seconds: float = 600) -> TrainingJob:
    """The time of a look comes, and it finds this marker."""
    job.world.after(seconds)
    job.settles()
    pod = Pod.of(job.world, job.world.api.objects[PROBE])
    pod.ends("probe", {"marker": marker} if marker else {})
    return says(job, "Complete")


def says(job: TrainingJob, condition: str) -> TrainingJob:
    """The Job of a look ends."""
    ended = {
        "type": condition,
        "status": "True",
        "reason": "X",
        "lastTransitionTime": to_timestamp(job.world.now),
    }
    job.world.edit(PROBE, status={"conditions": [ended]})
    return job.settles()


def test_equal_data_starts_nothing_and_the_job_of_the_look_is_deleted() -> None:
    job = looks_at(a_trained_job(), "one")

    assert job.run["number"] == 1
    assert PROBE not in job.world.api.objects
    assert job.status["triggers"]["probe"] == {
        "at": job.status["triggers"]["probe"]["at"],
        "done": True,
        "marker": "one",
    }


def test_other_data_starts_a_run_with_the_marker_as_evidence() -> None:
    job = looks_at(a_trained_job(), "two")

    assert job.run["number"] == 2
    assert job.run["cause"]["trigger"] == "DataChange"
    assert job.run["cause"]["evidence"] == {"marker": "two"}
    assert job.run["knownDigest"]
    assert job.jobs == ["churn-2"]


def test_new_data_of_which_the_run_fails_is_tried_again_with_the_next_look_until_the_triggers_stop() -> None:
    job = looks_at(a_trained_job(), "two").fails()
    for _ in range(4):
        looks_at(job, "two")
        if job.run["state"] == "Running":
            job.fails()

    assert job.run["number"] == 1 + 3
    assert job.decided()[0] == ("DataChange", "Waiting", "FailuresInARow")


def test_new_data_that_is_the_same_after_all_is_no_news_again() -> None:
    job = looks_at(a_trained_job(), "two").finds_no_other_data()

    looks_at(job, "two")

    assert job.run["number"] == 2
    assert job.status["triggers"]["marker"] == "two"


def test_a_run_that_finds_the_same_data_is_at_no_moment_a_failure() -> None:
    job = looks_at(a_trained_job(), "two")
    job.pod().fails("fetch", "DataUnchanged", "the data is that of the last run")
    job.job_fails()
    reasons = []
    while job.looks_once():
        reasons.append(job.reason)

    assert (job.run["state"], job.reason) == ("Skipped", "RunSucceeded")
    assert "RunFailed" not in {*reasons, *(event.reason for event in job.world.told.events)}


def test_what_a_run_has_seen_itself_is_no_change() -> None:
    job = looks_at(a_trained_job(), "two")
    job.pod().finishes(fetched={**fetched(), "marker": "three"})
    job.job_completes().settles()

    looks_at(job, "three")

    assert job.run["number"] == 2


def test_the_first_look_only_shows_what_there_is() -> None:
    job = looks_at(a_trained_job(marker=None), "one")
    assert job.run["number"] == 1

    assert looks_at(job, "two").run["number"] == 2


def test_a_change_waits_for_the_cooldown() -> None:
    job = looks_at(a_trained_job(brakes={"cooldownSeconds": 3600}), "two")
    assert job.decided()[0] == ("DataChange", "Waiting", "Cooldown")

    looks_at(job, "two")
    assert job.run["number"] == 1
    job.world.after(3000)

    assert job.settles().run["number"] == 2


def test_there_is_no_look_before_its_time_and_none_during_a_run() -> None:
    job = a_training_job(a_world(), triggers=EVERY).settles()
    job.world.after(10_000)
    assert job.settles().jobs == ["churn-1"]
    job.succeeds()

    job.world.after(500)
    assert job.settles().jobs == ["churn-1"]
    job.world.after(100)
    assert job.settles().jobs == ["churn-1", "churn-probe"]
    assert job.is_ready


def test_a_run_ends_a_look() -> None:
    job = a_trained_job()
    job.world.after(600)
    job.settles()

    job.is_asked("t1").settles()

    assert job.jobs == ["churn-2"]


def test_a_failed_look_is_reported_and_tried_again_at_the_next_interval() -> None:
    job = a_trained_job()
    job.world.after(600)
    job.settles()
    Pod.of(job.world, job.world.api.objects[PROBE]).fails("probe", "TargetMissing", "no such bucket")
    says(job, "Failed")

    condition = job.condition("TriggersActive")
    assert (condition["reason"], condition["message"]) == (
        "TargetMissing",
        "onDataChange: probe: no such bucket",
    )
    assert job.is_ready
    assert PROBE in job.world.api.objects, "its log can be read"

    before = job.world.api.objects[PROBE]["metadata"]["uid"]
    looks_at(job, "two")
    assert before not in [body["metadata"]["uid"] for body in job.all(JOBS).values()]
    assert job.run["number"] == 2
    assert job.condition("TriggersActive")["status"] == "True"


def test_a_source_without_a_marker_is_reported() -> None:
    job = looks_at(a_trained_job(), None)

    assert job.condition("TriggersActive")["reason"] == "NoMarker"


def test_a_look_whose_job_somebody_deletes_is_over() -> None:
    job = a_trained_job()
    job.world.after(600)
    job.settles()
    job.world.after(60)

    job.world.drop(PROBE)
    job.settles()

    assert job.jobs == ["churn-1"]
    assert job.condition("TriggersActive")["reason"] == "JobDeleted"


def test_a_change_of_the_recipe_forgets_what_is_known_of_the_data() -> None:
    job = a_trained_job()

    job.changes(data={**job.body["spec"]["data"], "uri": "configmap://other/x.csv"}).settles()

    assert "marker" not in job.status["triggers"]


def test_the_look_is_fetch_without_rows_and_without_a_place_for_them() -> None:
    job = a_trained_job()
    job.world.after(600)
    job.settles()

    (container,) = job.world.api.objects[PROBE]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["modelwright-training", "probe"]
    assert {each["name"]: each["value"] for each in container["env"]}["MODELWRIGHT_SOURCE"].startswith(
        "configmap://"
    )
    assert not [each for each in container["volumeMounts"] if each["mountPath"].startswith("/data")]


def test_a_trigger_that_is_taken_out_of_the_spec_takes_its_look_with_it() -> None:
    job = a_trained_job()
    job.world.after(600)
    job.settles()

    job.changes(triggers={"schedule": "@daily"}).settles()

    assert job.jobs == ["churn-1"]
    assert "probe" not in job.status["triggers"]
