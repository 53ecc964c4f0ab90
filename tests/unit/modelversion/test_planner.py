"""A ModelVersion: its run vouches for it, or a Job verifies it; what was found out stays."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given import words
from unit.given.resources import ModelVersion, TrainingJob, a_training_job, a_version, a_world

from modelwright.common.resources import MODEL_VERSIONS
from modelwright.engine.objects import Key


def made_by(job: TrainingJob, name: str) -> ModelVersion:
    """The version that a run has made."""
    version = object.__new__(ModelVersion)
    version.world, version.name, version.key = job.world, name, Key(MODEL_VERSIONS, "team", name)
    return version


def aspects(version: ModelVersion) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    return {c["type"]: (c["status"], c["reason"]) for c in version.status["conditions"]}


def test_a_version_that_a_run_has_made_is_vouched_for_by_its_publisher() -> None:
    version = made_by(a_training_job(a_world()).succeeds(), "churn-1").settles()

    assert aspects(version) == {
        "Ready": ("True", "Published"),
        "ArtifactVerified": ("True", "Published"),
        "Validated": ("True", "GatesPassed"),
    }
    assert version.status["metrics"][0] == {"name": "accuracy", "value": 0.9, "source": "Measured"}
    assert version.status["signature"]["classes"] == ["0", "1"]
    assert version.status["parity"]["verdict"] == "Pass"
    assert not version.has_job()
    assert version.kstatus == "Current"


def test_it_waits_while_the_run_is_unfinished() -> None:
    job = a_training_job(a_world()).settles()
    job.pod().finishes()
    job.job_completes().looks()

    version = made_by(job, "churn-1").settles()
    assert (version.reason, version.has_job(), version.kstatus) == ("Publishing", False, "InProgress")
    job.settles()

    assert version.settles().is_ready


def test_a_trainer_that_left_no_predictions_skips_parity() -> None:
    job = a_training_job(a_world()).settles()
    job.pod().finishes(words.published(parity={"verdict": "Skipped", "compared": 0}))
    job.job_completes().settles()

    assert aspects(made_by(job, "churn-1").settles())["Validated"] == ("Unknown", "ParitySkipped")


def test_what_a_reader_should_know_is_in_the_ready_messages() -> None:
    job = a_training_job(a_world()).settles()
    notes = ["accuracy 0.9 is not clearly above 0.92", "x" * 300]
    said = words.published(
        parity={"verdict": "Skipped", "compared": 0}, evaluation={**words.EVALUATION, "notes": notes}
    )
    job.pod().finishes(said, words.fetched(notes=["column 'id' is left out"]))
    job.job_completes().settles()

    of_model = f"accuracy 0.9 is not clearly above 0.92; {'x' * 200}..."
    parity = "not compared with the trainer's library: no reference.npz"
    assert made_by(job, "churn-1").settles().message == (
        f"the publisher verified the file after the upload; notes: {of_model}; {parity}"
    )
    assert job.settles().message == (
        f"run 1 made ModelVersion churn-1; notes: column 'id' is left out; {of_model}; {parity}"
    )


def test_a_ready_message_counts_the_notes_that_it_does_not_show() -> None:
    job = a_training_job(a_world()).settles()
    notes = [f"note {place}" for place in range(9)]
    job.pod().finishes(words.published(evaluation={**words.EVALUATION, "notes": notes}))
    job.job_completes().settles()
    job.version.settles()
    job.settles()

    shown = "note 0; note 1; note 2; note 3; note 4; and 4 more"
    assert job.message == f"run 1 made ModelVersion churn-1; notes: {shown}"


def test_what_was_measured_stays_measured_when_the_spec_of_the_training_job_changes_at_once() -> None:
    job = a_training_job(a_world()).succeeds()
    job.changes(seed=1).settles()

    version = made_by(job, "churn-1").settles()

    assert aspects(version)["Ready"] == ("True", "Published")
    assert aspects(version)["Validated"] == ("True", "GatesPassed")
    assert {metric["source"] for metric in version.status["metrics"]} == {"Measured"}


def test_a_version_that_is_made_anew_is_what_it_was_while_its_run_is_remembered() -> None:
    job = a_training_job(a_world()).succeeds()
    before = made_by(job, "churn-1").settles()
    spec, status = before.body["spec"], dict(before.status)
    job.changes(seed=1).settles()
    before.is_deleted()

    again = ModelVersion(job.world, "churn-1", spec).settles()

    assert {name: again.status[name] for name in ("task", "metrics", "parity", "signature")} == {
        name: status[name] for name in ("task", "metrics", "parity", "signature")
    }
    assert aspects(again)["Validated"] == ("True", "GatesPassed")
    assert not again.has_job()


def test_a_version_whose_run_is_forgotten_says_that_nothing_was_compared() -> None:
    version = a_version(a_world(), trainingJob="gone", run=1).is_verified()

    assert aspects(version)["Validated"] == ("Unknown", "ParitySkipped")
    assert version.condition("Validated")["message"] == (
        "no run vouches for the file here, so its answers were not compared with the trainer's library"
    )


def test_a_version_of_a_failed_run_is_verified_by_a_job() -> None:
    job = a_training_job(a_world()).fails()

    assert a_version(job.world, "churn-1", trainingJob="churn", run=1).settles().has_job()


def test_a_version_that_claims_to_be_of_a_run_that_made_another_file_is_verified_by_a_job() -> None:
    job = a_training_job(a_world()).succeeds()
    job.world.drop(Key(MODEL_VERSIONS, "team", "churn-1"))

    assert a_version(job.world, "churn-1", "b", trainingJob="churn", run=1).settles().has_job()


@pytest.mark.parametrize("lineage", [{}, {"trainingJob": "nobody", "run": 1}, {"run": 3}])
def test_a_version_that_no_run_vouches_for_is_verified_by_a_job(lineage: dict[str, Any]) -> None:
    version = a_version(a_world(), **lineage).settles()

    assert (version.has_job(), version.reason, version.kstatus) == (True, "Verifying", "InProgress")


def test_a_verified_version_tells_what_was_found() -> None:
    version = a_version(a_world()).is_verified()

    assert aspects(version) == {
        "Ready": ("True", "Verified"),
        "ArtifactVerified": ("True", "Verified"),
        "Validated": ("Unknown", "ParitySkipped"),
    }
    assert version.status["metrics"] == [{"name": "accuracy", "value": 0.9, "source": "Reported"}]
    assert version.status["task"] == "Classification"


def test_the_job_goes_after_success_and_stays_after_failure() -> None:
    good = a_version(a_world()).is_verified()
    bad = a_version(a_world()).is_rejected()

    assert not good.has_job()
    assert bad.has_job()


def test_a_metric_that_a_report_names_twice_is_kept_once() -> None:
    version = a_version(a_world()).settles()
    twice = [{"name": "f1", "value": 0.1}, {"name": "f1", "value": 0.2}]
    version.pod().ends("verify", words.verified(metrics=twice))

    assert version.job_completes().settles().is_ready
    assert version.status["metrics"] == [{"name": "f1", "value": 0.2, "source": "Reported"}]


@pytest.mark.parametrize(("reason", "verified"), [("DigestMismatch", "False"), ("NotOnnx", "Unknown")])
def test_a_version_that_cannot_work_is_rejected_with_the_reason(reason: str, verified: str) -> None:
    version = a_version(a_world()).is_rejected(reason)

    assert (version.reason, version.is_stalled, version.kstatus) == (reason, True, "Failed")
    assert version.message == (
        "verify: the reason in a sentence; delete this ModelVersion and write another one"
    )
    assert aspects(version)["ArtifactVerified"] == (verified, reason)
    assert aspects(version)["Validated"] == ("False", reason)


@pytest.mark.parametrize(
    "wrong",
    [
        {"signature": {"inputs": 7}},
        {"signature": None},
        {"signature": "none"},
        {"metrics": [{"value": 1.0}]},
        {"metrics": [{"name": "f1", "value": float("nan")}]},
        {"task": "Clustering"},
    ],
    ids=str,
)
def test_a_report_that_does_not_keep_to_the_contract_rejects_the_version(wrong: dict[str, Any]) -> None:
    version = a_version(a_world()).settles()
    version.pod().ends("verify", words.verified(**wrong))

    version.job_completes().settles()

    assert (version.reason, version.is_stalled) == ("ResultUnreadable", True)
    assert next(iter(wrong)) in version.message


def test_a_report_without_a_signature_rejects_the_version() -> None:
    version = a_version(a_world()).settles()
    version.pod().ends("verify", {"metrics": []})

    assert version.job_completes().settles().reason == "ResultUnreadable"


@pytest.mark.parametrize("end", [ModelVersion.is_verified, ModelVersion.is_rejected])
def test_a_verdict_is_for_ever(end: object) -> None:
    version = a_version(a_world())
    assert callable(end)
    end(version)
    before = dict(version.status)

    if version.has_job():
        version.job_is_deleted()
    version.world.after(100_000)

    assert version.settles().status == before
    assert not version.has_job()


def test_a_restarted_operator_writes_nothing_over_what_is_known() -> None:
    world = a_world()
    a_training_job(world).succeeds()
    a_version(world, "by-hand", "b").is_verified("b")
    a_version(world, "bad", "c").is_rejected()
    versions = [key for key in world.api.objects if key.resource == MODEL_VERSIONS]
    for key in versions:
        world.settle(key)
    before = len(world.api.calls)

    world.restart()
    for key in versions:
        world.settle(key)

    assert world.api.calls[before:] == []


def test_what_a_run_has_vouched_for_stays_when_the_training_job_goes() -> None:
    job = a_training_job(a_world()).succeeds()
    version = made_by(job, "churn-1").settles()

    job.is_deleted()

    assert version.settles().is_ready


def test_a_version_that_is_being_deleted_is_left_alone() -> None:
    version = a_version(a_world())
    version.world.edit(
        version.key, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a.user/s"]}
    )

    assert version.world.plan(version.key).effects == ()
    version.is_deleted()
    assert not version.world.look(version.key)
