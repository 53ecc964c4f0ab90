"""The Job that verifies a model file: what is final, what is waited for, and how long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.given import words
from unit.given.resources import ModelVersion, a_version, a_world

from modelwright.common.facts import FAILED_CREATE
from modelwright.engine.errors import Forbidden, Invalid, NameTaken
from modelwright.engine.objects import annotations_of, uid

AGAIN = "; the file is verified again with growing pauses"
NOT_THERE = "verify: the reason in a sentence; it is looked for again with growing pauses"
CLAIM_NOT_THERE = (
    "PersistentVolumeClaim modelwright-artifacts of the file is not there; the file is verified once it is"
)


def a_version_whose_file_is_missing() -> ModelVersion:
    version = a_version(a_world()).settles()
    version.pod().fails("verify", "ArtifactNotFound")
    return version.job_fails().settles()


STORED = {"uri": "s3://models/m.onnx", "digest": words.digest(), "store": {"secretRef": {"name": "keys"}}}


def test_another_way_to_reach_the_store_is_tried_at_once() -> None:
    world = a_world()
    version = ModelVersion(world, "churn-1", {"model": "churn", "artifact": STORED}).settles()
    world.after(300)
    version.pod().fails(
        "verify", "CredentialsRefused", "artifact.store: s3.corp refused the key of Secret keys."
    )
    failed = job_of(version.job_fails().settles())
    assert (version.reason, version.kstatus, job_of(version)) == ("CredentialsRefused", "InProgress", failed)

    world.after(20)
    assert job_of(version.settles()) == failed
    world.edit(version.key, spec={"artifact": {**STORED, "store": {"secretRef": {"name": "other"}}}})

    assert job_of(version.settles()) != failed


def job_of(version: ModelVersion) -> str:
    return uid(version.world.api.objects[version.job_key])


def stands(version: ModelVersion) -> tuple[str, str, bool]:
    """Reason and message of Ready, and whether the operator goes on."""
    return version.reason, version.message, version.kstatus == "InProgress"


def test_a_file_that_is_not_there_is_waited_for() -> None:
    version = a_version_whose_file_is_missing()

    assert stands(version) == ("ArtifactNotFound", NOT_THERE, True)
    assert version.condition("Ready")["status"] == "False"
    assert [c["type"] for c in version.status["conditions"]] == ["Ready", "Reconciling"]


def test_the_job_that_failed_is_kept_for_its_log_until_the_next_try() -> None:
    version = a_version_whose_file_is_missing()
    failed = job_of(version)
    version.world.after(8)
    assert job_of(version.settles()) == failed

    version.world.after(8)

    assert job_of(version.settles()) != failed


def test_while_it_is_tried_again_the_condition_stands_and_no_event_is_repeated() -> None:
    version = a_version_whose_file_is_missing()
    told, since = len(version.world.told.events), version.condition("Ready")["lastTransitionTime"]
    for pause in (20, 40, 80):
        version.world.after(pause)
        version.settles()
        assert stands(version) == ("ArtifactNotFound", NOT_THERE, True)
        version.pod().runs("verify")
        assert stands(version.settles()) == ("ArtifactNotFound", NOT_THERE, True)
        version.pod().fails("verify", "ArtifactNotFound")
        version.job_fails().settles()

    assert len(version.world.told.events) == told
    assert version.condition("Ready")["lastTransitionTime"] == since


def test_another_cause_with_the_same_reason_is_an_event_though_nothing_was_written_in_between() -> None:
    version = a_version(a_world()).settles()
    pod = version.pod().unschedulable(
        '0/1 nodes are available: persistentvolumeclaim "modelwright-artifacts" not found.'
    )
    version.settles()
    pod.fails("verify", "ArtifactNotFound")
    version.job_fails().settles()

    warnings = [event for event in version.world.told.events if event.type == "Warning"]
    assert [event.reason for event in warnings] == ["ArtifactNotFound", "ArtifactNotFound"]
    assert CLAIM_NOT_THERE in warnings[0].message
    assert warnings[1].message == NOT_THERE


def test_success_is_an_event_only_after_a_warning() -> None:
    quick, late = a_version(a_world()).settles(), a_version_whose_file_is_missing()
    quick.is_verified()
    late.world.after(60)
    late.settles().is_verified()

    assert [event.reason for event in quick.world.told.events] == []
    assert [event.reason for event in late.world.told.events] == ["ArtifactNotFound", "Verified"]


def test_a_file_that_comes_later_is_verified() -> None:
    version = a_version_whose_file_is_missing()
    version.world.after(20)

    assert version.is_verified().is_ready
    assert not version.has_job()


def test_a_file_that_turns_out_to_be_another_one_is_final() -> None:
    version = a_version_whose_file_is_missing()
    version.world.after(20)

    assert version.is_rejected("DigestMismatch").is_stalled


def test_the_pauses_double_up_to_ten_minutes() -> None:
    version = a_version_whose_file_is_missing()
    world, pauses = version.world, []
    for _ in range(10):
        again = world.plan(version.key).requeue_at
        assert again is not None
        pauses.append((again - world.now).total_seconds())
        world.after(pauses[-1])
        version.looks().pod().fails("verify", "ArtifactNotFound")
        version.job_fails().looks()

    assert pauses == [9, 11, 22, 44, 88, 176, 352, 600, 600, 600]


def test_the_next_job_says_why_the_one_before_it_failed() -> None:
    version = a_version_whose_file_is_missing()
    version.world.after(20)
    version.settles()

    job = version.world.api.objects[version.job_key]
    assert annotations_of(job)["modelwright.dev/previous-failure"] == f"ArtifactNotFound: {NOT_THERE}"


@pytest.mark.parametrize(
    ("code", "message", "reason", "says"),
    [
        (
            75,
            words.error("verify", "StorageFailed", "Reading failed."),
            "StorageFailed",
            "verify: Reading failed",
        ),
        (1, "Traceback", "VerifyFailed", "verify ended with exit code 1: Traceback"),
        (139, "", "VerifyFailed", "verify ended with exit code 139 and left no output"),
    ],
)
def test_a_failure_that_says_nothing_of_the_file_is_not_final(
    code: int, message: str, reason: str, says: str
) -> None:
    version = a_version(a_world()).settles()
    version.pod().exits("verify", code, message)
    version.job_fails("BackoffLimitExceeded").settles()

    assert stands(version) == (reason, says + AGAIN, True)
    version.world.after(20)
    assert version.is_verified().is_ready


def test_a_verification_without_memory_names_who_can_give_it_more() -> None:
    version = a_version(a_world()).settles()
    version.pod().exits("verify", 137, reason="OOMKilled")
    version.job_fails("BackoffLimitExceeded").settles()

    assert stands(version) == (
        "OutOfMemory",
        "verify used more memory than its limit: raise the operator's resources of training steps" + AGAIN,
        True,
    )


@pytest.mark.parametrize(
    ("obstacle", "reason", "says"),
    [
        (
            "0/1 nodes are available: 1 Insufficient cpu.",
            "Unschedulable",
            "no node takes the pod: Insufficient cpu",
        ),
        (
            '0/1 nodes are available: persistentvolumeclaim "modelwright-artifacts" not found. not found',
            "ArtifactNotFound",
            CLAIM_NOT_THERE,
        ),
        (
            '0/1 nodes are available: persistentvolumeclaim "other" not found.',
            "Unschedulable",
            'no node takes the pod: persistentvolumeclaim "other" not found',
        ),
    ],
)
def test_what_the_cluster_does_not_give_is_waited_for_beyond_the_deadline(
    obstacle: str, reason: str, says: str
) -> None:
    version = a_version(a_world()).settles()
    pod = version.pod().unschedulable(obstacle)
    assert stands(version.settles()) == (reason, says, True)
    failed = job_of(version)

    version.world.after(3600)
    pod.gone()
    version.job_fails("DeadlineExceeded", "Job was active longer than specified deadline").settles()
    assert stands(version) == (reason, says, True)

    version.world.after(601)
    assert job_of(version.settles()) != failed
    assert stands(version) == (reason, says, True)
    assert version.is_verified().is_ready


def test_a_verification_that_takes_too_long_is_tried_again() -> None:
    version = a_version(a_world()).settles()
    version.pod().runs("verify")
    version.settles()
    version.world.after(3600)
    version.pod().gone()
    version.job_fails("DeadlineExceeded").settles()

    assert stands(version) == ("DeadlineExceeded", "the Job did not end within 3600 seconds" + AGAIN, True)


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_an_image_that_cannot_be_pulled_is_named(reason: str) -> None:
    version = a_version(a_world()).settles()
    version.pod().waits("verify", reason)

    assert (version.settles().reason, version.kstatus) == ("ImagePullFailed", "InProgress")


def test_an_obstacle_that_is_gone_is_no_longer_named() -> None:
    version = a_version(a_world()).settles()
    pod = version.pod().waits("verify", "ErrImagePull")
    version.settles()

    pod.runs("verify")

    assert version.settles().reason == "Verifying"


def test_a_suspended_job_is_named() -> None:
    version = a_version(a_world()).settles()
    version.world.edit(version.job_key, spec={"suspend": True})

    message = "Job churn-1-verify is suspended (by a queue such as Kueue, or by hand)"
    assert stands(version.settles()) == ("Suspended", message, True)


def test_the_end_of_a_job_waits_for_what_its_pod_says() -> None:
    version = a_version(a_world()).settles()
    version.job_fails().settles()
    assert version.reason == "Verifying"

    version.pod().fails("verify", "NotLoadable")

    assert (version.settles().reason, version.is_stalled) == ("NotLoadable", True)


def test_a_job_that_failed_without_a_pod_is_tried_again_in_its_own_words() -> None:
    version = a_version(a_world()).settles()
    version.job_fails("BackoffLimitExceeded", "Job has reached the specified backoff limit").settles()
    version.world.after(20)

    assert stands(version.settles()) == (
        "BackoffLimitExceeded",
        "the Job failed: Job has reached the specified backoff limit" + AGAIN,
        True,
    )


@pytest.mark.parametrize("silent", [False, True])
def test_a_result_that_is_lost_is_found_again(silent: bool) -> None:
    version = a_version(a_world()).settles()
    if silent:
        version.pod().exits("verify", 0, "no JSON", "Completed")
    version.job_completes().settles()
    assert version.reason == "Verifying"
    version.world.after(25)
    assert stands(version.settles()) == (
        "ResultLost",
        "the pod was deleted before its result was read" + AGAIN,
        True,
    )

    assert version.is_verified().is_ready


def test_a_failure_that_may_pass_is_tried_again_by_the_job_itself() -> None:
    version = a_version(a_world()).settles()
    version.pod().exits("verify", 75, words.error("verify", "StorageFailed"))
    assert version.settles().reason == "Verifying"
    version.world.after(10)

    version.pod().ends("verify")

    assert version.job_completes().settles().is_ready


def test_a_job_that_is_deleted_before_it_ended_is_made_again() -> None:
    version = a_version(a_world()).settles().job_is_deleted()

    assert version.is_verified().is_ready


def test_a_job_that_is_going_is_not_made_again_before_it_is_gone() -> None:
    version = a_version_whose_file_is_missing()
    failed = job_of(version)
    version.world.edit(
        version.job_key, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a.user/s"]}
    )
    version.world.after(700)

    assert version.world.plan(version.key).requeue_at is None
    assert job_of(version.settles()) == failed


QUOTA = 'jobs.batch "churn-1-verify" is forbidden: exceeded quota: room, requested: count/jobs.batch=1'
LIMIT = 'pods "churn-1-verify-x" is forbidden: maximum memory usage per Container is 64Mi, but limit is 2Gi'
SCHEMA = "Job.batch is invalid: spec.template.spec.containers[0].resources.requests: must be less than"


@pytest.mark.parametrize(
    ("error", "reason", "quoted"),
    [
        (lambda: Forbidden(QUOTA), "QuotaExceeded", QUOTA),
        (lambda: NameTaken("Job churn-1-verify belongs to others"), "NameTaken", "belongs to others"),
        (lambda: Invalid(SCHEMA), "Refused", SCHEMA),
    ],
    ids=["quota", "name", "schema"],
)
def test_a_job_that_is_refused_stands_in_ready_until_it_is_let_in(
    error: Callable[[], BaseException], reason: str, quoted: str
) -> None:
    version = a_version(a_world())
    version.world.api.fail(error, skip=1)  # the status is written first

    version.settles()

    assert (version.reason, version.kstatus) == (reason, "InProgress")
    assert version.message.startswith("Job churn-1-verify is refused: ")
    assert quoted in version.message
    version.world.after(60)
    assert version.settles().reason == "Verifying"


def test_a_refused_deletion_of_a_job_says_nothing_of_a_good_version() -> None:
    version = a_version(a_world()).settles()
    version.world.api.fail(lambda: Forbidden("no"), skip=1)

    assert version.is_verified().is_ready


def test_a_job_whose_pods_are_refused_says_by_whom() -> None:
    version = a_version(a_world()).settles()

    version.world.cache.note(version.key, FAILED_CREATE, LIMIT)
    version.settles()

    assert (version.reason, version.kstatus) == ("LimitRangeViolated", "InProgress")
    assert "maximum memory usage per Container is 64Mi, but limit is 2Gi" in version.message
    version.world.cache.note(version.key, FAILED_CREATE, None)
    assert version.settles().reason == "Verifying"
