"""What a TrainingJob says when a run does not work out, and that it stays said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import TrainingJob, a_training_job, a_version, a_world

from modelwright.common.resources import JOBS
from modelwright.engine.plan import Confirm


def started(**spec: Any) -> TrainingJob:
    """A run whose Job is there."""
    return a_training_job(a_world(), **spec).settles()


def failed(job: TrainingJob, reason: str) -> bool:
    """Whether the run has failed for good, with that reason, in every place where users look."""
    return (job.run["state"], job.run["reason"], job.reason, job.kstatus) == (
        "Failed",
        reason,
        reason,
        "Failed",
    )


@pytest.mark.parametrize("step", ["fetch", "train", "publish"])
def test_a_step_that_says_its_input_cannot_work_ends_the_run_in_its_own_words(step: str) -> None:
    job = started()
    job.pod().fails(step, "DocumentInvalid", "column churned is not in the data")

    job.job_fails().settles()

    assert failed(job, "DocumentInvalid")
    assert job.message == f"run 1: {step}: column churned is not in the data"


@pytest.mark.parametrize("reason", ["1st", "_x", "é", "...", "A b\nC", "X" * 300, 7, {"a": 1}])
def test_whatever_a_users_image_gives_as_a_reason_the_status_can_be_written(reason: object) -> None:
    job = started(trainer={"image": "team/train:1"})
    words_of_image = json.dumps({"error": {"reason": reason, "message": "no"}})
    job.pod().ends("fetch").exits("train", 65, words_of_image)

    job.job_fails().settles()

    assert job.run["state"] == "Failed"
    assert "no" in job.message


def test_out_of_memory_says_what_to_do() -> None:
    job = started()
    job.pod().ends("fetch").exits("train", 137, reason="OOMKilled")

    job.job_fails("BackoffLimitExceeded").settles()

    assert failed(job, "OutOfMemory")
    assert "train used more memory than its limit" in job.message
    assert "resources.limits.memory" in job.message


def test_a_users_image_that_fails_is_quoted() -> None:
    job = started(trainer={"image": "team/train:1"})
    log = "x" * 5000 + "\nKeyError: 'age'\n"
    job.pod().ends("fetch").exits("train", 1, log)

    job.job_fails("BackoffLimitExceeded").settles()

    assert failed(job, "TrainFailed")
    assert job.message.startswith("run 1: train ended with exit code 1: xxx")
    assert job.message.endswith("KeyError: 'age'")
    assert len(job.message) < 700


def test_an_attempt_that_failed_is_told_while_the_next_one_is_on_its_way() -> None:
    job = started()
    job.pod().exits("fetch", 75, words.error("fetch", "FetchFailed", "the server did not answer"))

    job.settles()

    assert (job.reason, job.kstatus) == ("Retrying", "InProgress")
    assert job.message == "run 1 is tried again after fetch: the server did not answer"
    assert job.run["state"] == "Running"


@pytest.mark.parametrize(("code", "tries"), [(65, 2), (75, 0)])
def test_a_failure_after_which_nothing_is_tried_again_does_not_say_so(code: int, tries: int) -> None:
    job = started(backoffLimit=tries)
    job.pod().exits("fetch", code, words.error("fetch", "FetchFailed", "the server did not answer"))

    job.settles()

    assert (job.reason, job.kstatus) == ("FetchFailed", "InProgress")
    assert job.message == "run 1: fetch: the server did not answer"


def test_a_step_that_says_nothing_is_told_so() -> None:
    job = started()
    job.pod().exits("fetch", 139)

    job.job_fails("BackoffLimitExceeded").settles()

    assert failed(job, "FetchFailed")
    assert job.message == "run 1: fetch ended with exit code 139 and left no output"


def test_a_failure_that_may_pass_does_not_end_the_run_while_the_job_tries_again() -> None:
    job = started()
    job.pod().exits("fetch", 75, words.error("fetch", "FetchFailed"))
    job.settles()
    assert job.run["state"] == "Running"
    job.world.after(10)

    job.pod().finishes()
    job.job_completes().settles()

    assert job.run["state"] == "Succeeded"


def test_of_several_tries_the_last_one_tells_why() -> None:
    job = started()
    job.pod().exits("fetch", 75, words.error("fetch", "FetchFailed", "no route to host"))
    job.world.after(10)
    job.pod().ends("fetch").exits("train", 75, words.error("train", "StorageFailed", "disk full"))

    job.job_fails("BackoffLimitExceeded").settles()

    assert failed(job, "StorageFailed")


def test_an_evicted_pod_is_told_in_the_kubelets_words() -> None:
    job = started()
    job.pod().evicted()

    job.job_fails("BackoffLimitExceeded").settles()

    assert failed(job, "Evicted")
    assert "low on resource" in job.message


def test_a_job_that_failed_without_a_pod_is_told_in_the_jobs_words_after_a_while() -> None:
    job = started()
    job.job_fails("BackoffLimitExceeded", "Job has reached the specified backoff limit").settles()
    assert job.run["state"] == "Running", "the words of its pod may be on their way"

    job.world.after(30)
    job.settles()

    assert failed(job, "BackoffLimitExceeded")


def test_the_deadline_names_itself_and_what_was_in_the_way() -> None:
    job = started(activeDeadlineSeconds=60)
    pod = job.pod().ends("fetch").runs("train")
    job.settles()
    pod.waits("publish", "ImagePullBackOff")
    job.settles()
    pod.gone()

    job.job_fails("DeadlineExceeded", "Job was active longer than specified deadline").settles()

    assert failed(job, "DeadlineExceeded")
    assert job.message.startswith(
        "run 1: it took longer than activeDeadlineSeconds: 60; publish: image training:1"
    )


def test_the_deadline_ends_a_run_whose_image_has_a_name_that_no_image_can_have() -> None:
    job = started(trainer={"image": "Team/Train"}, activeDeadlineSeconds=60)
    pod = job.pod().waits("train", "InvalidImageName", "couldn't parse image name")
    job.settles()
    pod.gone()

    job.job_fails("DeadlineExceeded").settles()

    assert failed(job, "DeadlineExceeded")
    assert "couldn't parse image name" in job.message


def test_an_image_that_cannot_be_pulled_shows_while_the_run_waits_for_it() -> None:
    job = started()
    pod = job.pod().waits("fetch", "ErrImagePull", "rpc error: code = NotFound")
    first = job.settles().message
    pod.waits("fetch", "ImagePullBackOff", 'Back-off pulling image "training:1"')

    assert job.settles().message == first, "it does not flap between the two"
    assert (job.reason, job.kstatus) == ("ImagePullFailed", "InProgress")
    pod.runs("fetch")
    assert job.settles().reason == "Fetching"


@pytest.mark.parametrize("reason", ["InvalidImageName", "CreateContainerConfigError", "RunContainerError"])
def test_a_container_that_cannot_be_made_shows(reason: str) -> None:
    job = started()
    job.pod().waits("fetch", reason, 'secret "lake" not found')

    assert job.settles().reason == reason
    assert 'secret "lake" not found' in job.message


def test_a_pod_that_no_node_takes_shows_without_the_numbers_that_change_all_the_time() -> None:
    job = started()
    why = "1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. preemption: 0/3 nodes are available"
    pod = job.pod().unschedulable(f"0/3 nodes are available: {why}")
    first = job.settles().message
    pod.unschedulable(f"0/4 nodes are available: {why.replace('2 node', '3 node')}")

    assert job.settles().message == first
    assert job.reason == "Unschedulable"
    assert first.endswith("no node takes the pod: Insufficient cpu, node(s) had untolerated taint {a: b}")


def test_a_job_that_is_deleted_while_it_runs_fails_the_run() -> None:
    job = started()

    job.job_is_deleted().settles()

    assert failed(job, "JobDeleted")
    assert job.jobs == [], "it is not made again"


def test_a_job_that_is_only_not_seen_is_asked_for_and_followed_on() -> None:
    job = started()
    job.pod().runs("train")
    before = dict(job.settles().status)
    job.world.restart(unseen=JOBS)

    effects = job.world.plan(job.key).effects

    assert effects == (Confirm(job.job_key),)
    assert job.settles().status == before


def test_a_job_of_somebody_else_under_that_name_is_not_the_one_that_ran() -> None:
    job = started().job_is_deleted()
    job.world.make(JOBS, "churn-1", {"template": {}})

    assert failed(job.settles(), "JobDeleted")


def test_a_suspended_job_is_no_step() -> None:
    job = started()
    job.world.edit(job.job_key, spec={"suspend": True})

    assert job.settles().reason == "Suspended"
    assert job.message == "run 1: Job churn-1 is suspended (by a queue such as Kueue, or by hand)"
    assert job.kstatus == "InProgress"


def test_a_result_that_was_lost_after_its_version_was_made_is_no_loss() -> None:
    job = started()
    pod = job.pod().finishes()
    job.job_completes().looks()
    assert job.versions == ["churn-1"]
    pod.gone()
    job.world.after(30)

    job.settles()

    assert (job.run["state"], job.run["digest"]) == ("Succeeded", words.digest())


def test_a_result_that_nobody_read_in_time_is_lost() -> None:
    job = started()
    job.pod().finishes().gone()
    job.job_completes().settles()
    job.world.after(30)

    job.settles()

    assert failed(job, "ResultLost")


@pytest.mark.parametrize(
    "wrong",
    [
        {"artifact": {"uri": "ftp://a/b", "digest": words.digest(), "size": 1}},
        {"artifact": {**words.artifact(), "digest": "sha256:short"}},
        {"metrics": [{"name": "accuracy", "value": float("nan")}]},
        {"metrics": "many"},
        {"libraries": {"numpy": "9" * 100}},
        {"libraries": {str(number): "1" for number in range(100)}},
        {"signature": {"inputs": []}},
        {"task": "Clustering"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_result_that_does_not_keep_to_the_contract_is_refused_with_the_place(
    wrong: dict[str, Any],
) -> None:
    job = started()
    job.pod().finishes(words.published(**wrong))

    job.job_completes().settles()

    assert failed(job, "ResultUnreadable")
    assert next(iter(wrong)) in job.message
    assert job.versions == []


def test_a_data_report_that_does_not_keep_to_the_contract_is_refused() -> None:
    job = started()
    job.pod().finishes(fetched=words.fetched(digest="md5:1"))

    job.job_completes().settles()

    assert failed(job, "ResultUnreadable")


@pytest.mark.parametrize("rows", [7, "many", [1]])
def test_rows_that_are_no_rows_are_refused(rows: object) -> None:
    job = started()
    job.pod().finishes(fetched=words.fetched(rows=rows))

    job.job_completes().settles()

    assert failed(job, "ResultUnreadable")


def test_a_termination_message_that_was_cut_off_counts_as_lost() -> None:
    job = started()
    whole = words.result("publish", words.published())
    job.pod().ends("fetch").ends("train").exits("publish", 0, whole[:100], "Completed")
    job.job_completes().settles()
    job.world.after(30)

    assert failed(job.settles(), "ResultLost")


def test_a_version_of_that_name_with_another_file_fails_the_run_and_is_left_alone() -> None:
    job = started()
    other = a_version(job.world, "churn-1", letter="b")
    job.pod().finishes()

    job.job_completes().settles()

    assert failed(job, "ModelVersionExists")
    assert other.body["spec"]["artifact"] == words.artifact(letter="b")


@pytest.mark.parametrize("end", [TrainingJob.succeeds, TrainingJob.fails])
def test_what_is_terminal_stays_terminal_whatever_happens_to_the_job(end: object) -> None:
    job = a_training_job(a_world())
    assert callable(end)
    end(job)
    before = dict(job.status)

    job.job_is_deleted().settles()
    job.world.after(100_000)

    assert job.settles().status == before
    assert job.jobs == []
