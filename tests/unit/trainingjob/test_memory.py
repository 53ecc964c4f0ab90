"""A TrainingJob whose status is lost: what its Jobs and ModelVersions tell is not trained again."""

from __future__ import annotations

from typing import Any

from unit.given import words
from unit.given.resources import TrainingJob, a_training_job, a_world

from modelwright.api.trainingjob import TrainingJobStatus
from modelwright.common.reading import read_valid
from modelwright.common.resources import JOBS
from modelwright.engine.objects import Key
from modelwright.engine.plan import Create
from modelwright.trainingjob.memory import recipe_hash


def after_two_runs() -> TrainingJob:
    """A TrainingJob whose second run has succeeded."""
    return a_training_job(a_world()).succeeds("a").changes(seed=1).succeeds("b")


def test_a_run_that_succeeded_is_known_from_its_version() -> None:
    job = after_two_runs()
    job.job_is_deleted()

    job.loses_its_status().settles()

    assert (job.run["number"], job.run["state"], job.reason) == (2, "Succeeded", "RunSucceeded")
    assert (job.run["modelVersion"], job.run["digest"]) == ("churn-2", words.digest("b"))
    assert job.run["data"]["digest"] == words.DATA_DIGEST
    assert job.status["latestModelVersion"] == "churn-2"
    assert [(run["number"], run["digest"]) for run in job.status["history"]] == [(1, words.digest("a"))]
    assert job.jobs == [], "nothing is trained"


def test_a_run_whose_job_is_there_still_is_read_from_it() -> None:
    job = after_two_runs()
    before = job.run["report"]

    job.loses_its_status().settles()

    assert (job.run["number"], job.run["state"], job.run["report"]) == (2, "Succeeded", before)


def test_a_run_on_its_way_is_followed_on() -> None:
    job = a_training_job(a_world()).settles()
    job.pod().runs("train")

    job.loses_its_status().settles()

    assert (job.run["number"], job.run["state"], job.reason) == (1, "Running", "Training")
    assert job.jobs == ["churn-1"]


def test_a_run_that_failed_is_not_tried_again() -> None:
    job = a_training_job(a_world()).fails()

    job.loses_its_status().settles()

    assert (job.run["number"], job.run["state"], job.reason) == (1, "Failed", "TargetMissing")


def test_another_recipe_is_a_run_of_its_own() -> None:
    job = after_two_runs()

    job.loses_its_status().changes(seed=2).settles()

    assert (job.run["number"], job.run["state"], job.jobs) == (3, "Running", ["churn-3"])


def test_a_version_of_an_older_recipe_does_not_stand_for_the_newest_run() -> None:
    job = after_two_runs()

    job.loses_its_status().changes(seed=0).settles()

    assert (job.run["number"], job.run["state"]) == (3, "Running"), "as after every change of the spec"


def test_a_training_job_that_is_deleted_and_written_again_keeps_what_it_has_made() -> None:
    world = a_world()
    a_training_job(world).succeeds().is_deleted()

    again = a_training_job(world).settles()

    assert (again.run["number"], again.run["state"], again.jobs) == (1, "Succeeded", [])


def test_a_version_that_turned_out_bad_is_made_again() -> None:
    world = a_world()
    job = a_training_job(world).succeeds()
    stalled = {"type": "Stalled", "status": "True", "reason": "DigestMismatch", "message": "no"}
    (version,) = (key for key in world.api.objects if key.name == "churn-1" and key.resource != JOBS)
    world.edit(version, status={"conditions": [stalled]})
    job.is_deleted()

    assert a_training_job(world).settles().run["number"] == 2


def test_a_job_without_an_owner_is_followed() -> None:
    job = a_training_job(a_world()).settles()
    pod = job.pod().runs("train")

    job.is_orphaned().settles()

    assert (job.run["number"], job.run["state"], job.reason) == (1, "Running", "Training")
    pod.finishes()
    job.job_completes().settles()
    assert (job.run["state"], job.versions) == ("Succeeded", ["churn-1"])


def test_a_job_without_an_owner_that_runs_another_recipe_goes_before_a_run_begins() -> None:
    job = a_training_job(a_world()).settles()
    job.pod().runs("train")
    job.is_orphaned().changes(seed=1)

    job.looks()
    assert (job.message, job.jobs) == ("Jobs of an earlier TrainingJob of this name go first: churn-1", [])
    assert "run" not in job.status
    job.settles()

    assert (job.run["number"], job.jobs) == (1, ["churn-1"])


def test_a_job_of_another_recipe_that_was_not_seen_is_not_taken_for_that_of_the_new_run() -> None:
    job = a_training_job(a_world()).settles()
    old = job.run["jobUid"]
    job.loses_its_status().changes(seed=1)
    job.world.restart(unseen=JOBS)

    job.settles()

    assert (job.run["number"], job.run["state"], job.jobs) == (1, "Running", ["churn-1"])
    assert job.run["jobUid"] != old


def test_a_status_that_was_restored_with_the_object_does_not_start_a_run() -> None:
    job = after_two_runs()
    status, spec = dict(job.status), job.body["spec"]
    job.is_deleted()
    job.key = job.world.make(job.kind, job.name, spec)
    job.world.edit(job.key, status=status)

    job.settles()

    assert (job.run["number"], job.run["generation"], job.run["state"]) == (2, 1, "Succeeded")
    assert job.run["report"], "the rest is kept"


def test_of_a_status_that_another_release_wrote_all_is_kept_that_can_be_read() -> None:
    job = after_two_runs()
    first = dict(job.status["history"][0])
    unreadable: dict[str, Any] = {
        "run": {"number": "two", "phase": "Done"},
        "history": [{"id": 3}, first],
        "latestModelVersion": "churn-2",
    }
    job.world.edit(job.key, status=unreadable)

    job.settles()

    assert (job.run["number"], job.run["state"]) == (2, "Succeeded")
    assert job.status["history"] == [first]


def test_what_cannot_be_read_counts_as_not_there() -> None:
    written = {"run": [], "model": 7, "history": [{}, 3], "latestModelVersion": "churn-2", "later": True}

    status = read_valid(TrainingJobStatus, written)

    assert status == TrainingJobStatus(latest_model_version="churn-2")


def test_a_recipe_is_the_same_whether_defaults_are_written_or_not() -> None:
    job = a_training_job(a_world())
    short = {"spec": {"data": {"uri": "configmap://churn-data/churn.csv", "target": "churned"}}}
    short["spec"]["trainer"] = job.body["spec"]["trainer"]

    assert recipe_hash(short) == recipe_hash(job.body)
    assert recipe_hash({"spec": {**short["spec"], "seed": 1}}) != recipe_hash(job.body)


def test_a_job_of_somebody_else_is_not_followed() -> None:
    job = a_training_job(a_world())
    job.world.make(JOBS, "churn-1", {"template": {}}, labels={"app": "churn"})

    plan = job.world.plan(job.key)

    assert [effect.key for effect in plan.effects if isinstance(effect, Create)][-1] == Key(
        JOBS, "team", "churn-1"
    )
