"""What a run waits for: what the API server refuses, what the cluster does not give, and data that is not there yet."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.resources import TrainingJob, a_training_job, a_world

from modelwright.common.resources import JOBS
from modelwright.engine.errors import ApiError, Denied, Forbidden, Invalid
from modelwright.engine.objects import Body, Key

QUOTA = 'Error creating: pods "churn-1" is forbidden: exceeded quota: room, requested: pods=1, used: pods=1'


def started(**spec: Any) -> TrainingJob:
    """A run whose Job is there."""
    return a_training_job(a_world(), **spec).settles()


def without_data() -> TrainingJob:
    """A run whose data is not there."""
    job = started()
    job.world.after(20)
    job.pod().fails("fetch", "DataNotFound", "There is no file 'churn.csv'.")
    return job.job_fails().settles()


def waits(job: TrainingJob, reason: str) -> bool:
    """Whether the run waits with that reason, in every place where users find it."""
    return (job.run["state"], job.run["reason"], job.reason, job.kstatus) == (
        "Pending",
        reason,
        reason,
        "InProgress",
    )


@pytest.mark.parametrize(
    ("error", "reason", "kstatus"),
    [
        (Denied("ValidatingAdmissionPolicy 'team' denied request: no label"), "PolicyDenied", "InProgress"),
        (Forbidden('jobs.batch "churn-1" is forbidden: exceeded quota: room'), "QuotaExceeded", "InProgress"),
        (Invalid("spec.template.spec.containers[0].resources: Invalid value"), "Refused", "Failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ApiError) else None,
)
def test_a_job_that_the_api_server_refuses_is_reported_in_its_words_until_it_is_let_in(
    error: ApiError, reason: str, kstatus: str
) -> None:
    job = a_training_job(a_world())

    def refuse(key: Key, _: Body) -> None:
        if key.resource == JOBS:
            raise error

    job.world.api.rules.append(refuse)
    job.settles()

    assert (job.reason, job.kstatus, job.run["state"]) == (reason, kstatus, "Pending")
    assert job.message.startswith(f"Job churn-1 is refused: {error}")

    job.world.api.rules.clear()
    job.world.after(100)
    job.settles()

    assert (job.reason, job.run["state"]) == ("RunStarted", "Running")


def test_pods_that_are_refused_are_reported_in_the_words_of_the_api_server() -> None:
    job = started().gets_no_pod(QUOTA)

    job.settles()

    assert (job.reason, job.kstatus) == ("QuotaExceeded", "InProgress")
    assert job.message.startswith(
        "run 1: the pods of Job churn-1 are refused: pods are forbidden: exceeded quota: room, requested: pods=1"
    )
    assert "free some of the quota" in job.message

    job.gets_no_pod(None).pod().runs("fetch")
    assert job.settles().reason == "Fetching"


def test_a_deadline_that_passes_without_a_pod_is_not_the_end_of_the_run() -> None:
    job = started(activeDeadlineSeconds=60).gets_no_pod(QUOTA).settles()
    job.world.after(60)

    job.gets_no_pod(None).job_fails("DeadlineExceeded").settles()

    assert waits(job, "QuotaExceeded")
    assert job.message.startswith(
        "run 1: it took longer than activeDeadlineSeconds: 60; the pods of Job churn-1 are refused"
    )
    assert job.jobs == ["churn-1"], "the Job that failed is kept until the next one"

    before = job.message
    job.world.after(61)
    job.settles()
    assert (job.run["number"], job.run["state"], job.jobs) == (1, "Running", ["churn-1"])
    assert job.message == before, "until something else is known"

    job.pod().runs("fetch")
    assert job.settles().reason == "Fetching"
    assert "reason" not in job.run


@pytest.mark.parametrize("reason", ["Unschedulable", "ImagePullFailed"])
def test_what_kept_the_pod_from_starting_is_waited_for(reason: str) -> None:
    job = started(activeDeadlineSeconds=60)
    pod = job.pod()
    if reason == "Unschedulable":
        pod.unschedulable('0/1 nodes are available: persistentvolumeclaim "lake" not found.')
    else:
        pod.waits("fetch", "ErrImagePull")
    job.settles()
    pod.gone()

    job.job_fails("DeadlineExceeded").settles()

    assert waits(job, reason)


def test_a_deadline_of_which_nothing_else_is_known_is_not_the_end_either() -> None:
    job = started(activeDeadlineSeconds=60)

    for _ in range(3):
        job.job_fails("DeadlineExceeded").settles()
        assert waits(job, "DeadlineExceeded")
        assert job.message == (
            "run 1: it took longer than activeDeadlineSeconds: 60; none of its steps began"
        )
        job.world.after(700)
        job.settles()


def test_data_that_is_not_there_is_looked_for_again_with_the_same_number() -> None:
    job = without_data()

    assert waits(job, "DataNotFound")
    assert job.message == (
        "run 1: fetch: There is no file 'churn.csv'; fetch tries again with growing pauses"
    )
    job.world.after(21)
    job.settles()
    before = job.message

    job.pod().runs("fetch")
    assert job.settles().message == before, "it does not flap while fetch tries"
    job.pod().finishes()
    job.job_completes().settles()

    assert (job.run["number"], job.run["state"], job.versions) == (1, "Succeeded", ["churn-1"])


def test_the_pauses_grow_with_the_time_that_the_run_has_waited() -> None:
    job = without_data()
    pauses = []

    for _ in range(8):
        again = job.world.plan(job.key).requeue_at
        assert again is not None
        pauses.append((again - job.world.now).total_seconds())
        job.world.after(pauses[-1])
        job.settles()
        job.pod().fails("fetch", "DataNotFound")
        job.job_fails().settles()

    assert pauses == sorted(pauses)
    assert pauses[0] == 20
    assert pauses[-1] == pytest.approx(600, abs=2)


def test_nothing_that_happens_to_the_failed_job_ends_a_run_that_waits() -> None:
    job = without_data()

    for key in [key for key in job.world.api.objects if key.resource.kind == "Pod"]:
        job.world.drop(key)
    job.world.after(15)
    assert waits(job.settles(), "DataNotFound")

    job.job_is_deleted().settles()
    assert (job.run["number"], job.run["state"], job.jobs) == (1, "Running", ["churn-1"]), "made at once"


def test_a_process_that_dies_between_the_two_jobs_loses_nothing() -> None:
    job = without_data()
    job.world.after(21)

    job.looks()  # deletes the Job that failed, and dies

    assert job.jobs == []
    assert (job.run["state"], job.run["number"]) == ("Pending", 1)
    assert job.settles().jobs == ["churn-1"]


def test_a_change_of_the_spec_starts_a_new_run_at_once() -> None:
    job = without_data()

    job.changes(data={"uri": "configmap://churn/churn.csv", "target": "churned"}).settles()

    assert (job.run["number"], job.run["state"], job.jobs) == (2, "Running", ["churn-2"])
    assert "reason" not in job.run
    assert job.status["history"][0]["state"] == "Superseded"


def test_what_is_wrong_with_the_data_for_ever_ends_the_run_also_after_it_has_waited() -> None:
    job = without_data()
    job.world.after(21)
    job.settles().pod().fails("fetch", "TargetMissing", "no column churned")

    job.job_fails().settles()

    assert (job.run["state"], job.reason, job.kstatus) == ("Failed", "TargetMissing", "Failed")
