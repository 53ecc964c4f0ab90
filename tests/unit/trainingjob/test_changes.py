"""What happens to a TrainingJob's runs when its spec changes."""

from __future__ import annotations

from unit.given import words
from unit.given.resources import a_training_job, a_version, a_world

from modelwright.common.resources import MODEL_VERSIONS


def test_a_change_during_a_run_supersedes_it() -> None:
    job = a_training_job(a_world()).settles()
    job.pod().runs("fetch")

    job.changes(seed=1).settles()

    assert (job.run["number"], job.run["generation"], job.run["state"]) == (2, 2, "Running")
    (before,) = job.status["history"]
    assert (before["number"], before["state"], before["reason"]) == (1, "Superseded", "SpecChanged")
    assert before["completionTime"]
    assert job.jobs == ["churn-2"], "the Job of the older run is deleted"


def test_a_change_before_the_job_is_made_supersedes_the_run_too() -> None:
    job = a_training_job(a_world())
    status = job.world.plan(job.key).status
    assert status is not None
    job.world.edit(job.key, status=status)

    job.changes(seed=1).settles()

    assert job.jobs == ["churn-2"]
    assert [run["number"] for run in job.status["history"]] == [1]


def test_a_change_does_not_supersede_a_run_that_has_published() -> None:
    job = a_training_job(a_world()).settles()
    job.pod().finishes()
    job.job_completes()

    job.changes(seed=1).looks()
    assert job.run["number"] == 1
    job.settles()

    assert job.versions == ["churn-1"], "the finished result is registered first"
    assert (job.run["number"], job.run["state"]) == (2, "Running")
    assert job.status["history"][0]["state"] == "Succeeded"
    assert job.status["latestModelVersion"] == "churn-1"


def test_a_change_after_a_failure_starts_the_next_run() -> None:
    job = a_training_job(a_world()).fails()

    job.changes(seed=1).succeeds()

    assert (job.run["number"], job.run["state"]) == (2, "Succeeded")
    assert job.status["history"][0]["reason"] == "TargetMissing"
    assert job.versions == ["churn-2"]
    assert job.jobs == ["churn-2"]


def test_a_failure_that_is_seen_together_with_a_change_is_remembered_as_a_failure() -> None:
    job = a_training_job(a_world()).settles()
    job.pod().fails("fetch", "TargetMissing")
    job.job_fails()

    job.changes(seed=1).settles()

    assert job.status["history"][0]["state"] == "Failed"
    assert job.run["number"] == 2


def test_a_deadline_is_reported_with_the_seconds_of_its_own_run() -> None:
    job = a_training_job(a_world(), activeDeadlineSeconds=60).settles()
    job.pod().runs("train")
    job.settles().job_fails("DeadlineExceeded")

    job.changes(activeDeadlineSeconds=7200).settles()

    assert "activeDeadlineSeconds: 60" in job.status["history"][0]["message"]


def test_the_newest_version_is_remembered_through_a_failure() -> None:
    job = a_training_job(a_world()).succeeds()

    job.changes(seed=1).fails()

    assert job.status["latestModelVersion"] == "churn-1"
    assert job.kstatus == "Failed"


def test_history_is_bounded_and_newest_first() -> None:
    job = a_training_job(a_world()).succeeds()

    for seed in range(1, 14):
        job.changes(seed=seed).succeeds()

    history = job.status["history"]
    assert [run["number"] for run in history] == list(range(13, 3, -1))


def test_a_change_that_is_undone_is_a_run_of_its_own() -> None:
    job = a_training_job(a_world()).succeeds("a")

    job.changes(seed=1).settles()
    job.changes(seed=0).succeeds("a")

    assert job.run["number"] == 3
    assert job.versions == ["churn-1", "churn-3"]


def test_a_training_job_that_is_made_anew_with_another_recipe_goes_on_counting() -> None:
    world = a_world()
    a_training_job(world).succeeds().is_deleted()

    again = a_training_job(world, seed=1).succeeds("b")

    assert again.run["number"] == 2
    assert again.versions == ["churn-1", "churn-2"], "versions outlive the TrainingJob"


def test_a_version_speaks_of_the_recipe_of_its_run_when_the_spec_has_changed_since() -> None:
    job = a_training_job(a_world(), seed=7).settles()
    job.pod().finishes()
    job.job_completes()

    job.changes(seed=8, model="risk").settles()

    made = job.all(MODEL_VERSIONS)["churn-1"]["spec"]
    assert (made["model"], made["lineage"]["seed"]) == ("churn", 7)


def test_a_name_that_is_taken_by_a_version_without_our_label_is_told_only_by_the_run_itself() -> None:
    world = a_world()
    a_version(world, "churn-1", letter="b")
    job = a_training_job(world).succeeds("a")
    assert job.reason == "ModelVersionExists"

    job.changes(seed=1).succeeds("a")

    assert job.versions == ["churn-1", "churn-2"]
    assert job.run["digest"] == words.digest("a")
