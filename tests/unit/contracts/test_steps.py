"""What the steps say when they end, as far as the schema allows it: the operator understands every word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.contracts.schemas import defects, definition, schema
from unit.given import words
from unit.given.resources import a_training_job, a_version, a_world

from modelwright.api.base import Signature
from modelwright.workload.podstatus import NOT_THERE

STEPS = ("fetch", "train", "publish")
REASONS = [
    (step, reason)
    for step in STEPS
    for reason in definition("step", f"{step}Reason")["enum"]
    if (step, reason) not in NOT_THERE
]
MOST_WORDS = 4096


@pytest.mark.parametrize("step", words.RESULTS)
def test_the_results_that_tests_use_keep_to_the_schema(step: str) -> None:
    assert defects("step", json.loads(words.result(step, words.RESULTS[step]))) == []


@pytest.mark.parametrize(("step", "reason"), REASONS)
def test_every_reason_of_a_run_ends_it_with_that_reason(step: str, reason: str) -> None:
    said = words.error(step, reason)
    assert defects("step", json.loads(said)) == []
    job = a_training_job(a_world()).settles()
    job.pod().exits(step, 65, said)

    job.job_fails().settles()

    assert (job.run["state"], job.reason, job.is_stalled) == ("Failed", reason, True)


def waited_for(*steps: str) -> list[tuple[str, str]]:
    """The reasons of steps that a person mends outside the spec."""
    return [
        (step, reason)
        for step in steps
        for reason in definition("step", f"{step}Reason")["enum"]
        if (step, reason) in NOT_THERE
    ]


@pytest.mark.parametrize(("step", "reason"), waited_for("fetch", "publish"))
def test_what_is_missing_outside_the_spec_is_waited_for_with_its_reason(step: str, reason: str) -> None:
    said = words.error(step, reason)
    assert defects("step", json.loads(said)) == []
    job = a_training_job(a_world()).settles()
    pod = job.pod()
    if step == "publish":
        pod.ends("fetch").ends("train")
    pod.exits(step, 65, said)

    assert (job.settles().condition()["status"], job.reason) == ("False", reason), "before the Job has failed"
    job.job_fails().settles()

    assert (job.run["state"], job.reason, job.is_stalled) == ("Pending", reason, False)
    assert "with growing pauses" in job.message


# What is missing may still come: the file, its signature, the key, the Secret of its store.
WAITED_FOR = {reason for _, reason in waited_for("verify")}


@pytest.mark.parametrize("reason", sorted({*definition("step", "verifyReason")["enum"]} - WAITED_FOR))
def test_every_reason_of_a_verification_rejects_the_version_with_that_reason(reason: str) -> None:
    said = words.error("verify", reason)
    assert defects("step", json.loads(said)) == []
    version = a_version(a_world()).settles()
    version.pod().exits("verify", 65, said)

    version.job_fails().settles()

    assert (version.reason, version.is_stalled) == (reason, True)


@pytest.mark.parametrize("reason", sorted(WAITED_FOR))
def test_a_verification_waits_for_what_is_missing(reason: str) -> None:
    said = words.error("verify", reason)
    assert defects("step", json.loads(said)) == []
    version = a_version(a_world()).settles()
    version.pod().exits("verify", 65, said)

    version.job_fails().settles()

    assert (version.reason, version.is_stalled) == (reason, False)


def test_the_longest_message_of_the_schema_is_shown_whole() -> None:
    longest = definition_of_message()["maxLength"]
    said = words.error("fetch", "SchemaViolation", "é" * longest)
    assert defects("step", json.loads(said)) == []
    job = a_training_job(a_world()).settles()
    job.pod().exits("fetch", 65, said)

    job.job_fails().settles()

    assert job.message == f"run 1: fetch: {'é' * longest}"


def definition_of_message() -> dict[str, Any]:
    """What the schema says of a message."""
    errors = (
        option["properties"]["error"] for option in schema("step")["oneOf"] if "error" in option["properties"]
    )
    found: dict[str, Any] = next(errors)["properties"]["message"]
    return found


SIGNATURES: dict[str, dict[str, Any]] = {
    "least": {"inputs": [], "outputs": []},
    "words for classes": {**words.SIGNATURE, "classes": ["no", "yes"]},
    "numbers for classes": {**words.SIGNATURE, "classes": [-1, 0, 10**12]},
    "cut short": {
        "inputs": [], "outputs": [], "inputCount": 900, "outputCount": 2, "featureCount": 900, "classCount": 4000,
        "truncated": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_every_form_of_a_signature_goes_into_both_statuses(signature: dict[str, Any]) -> None:
    published = words.published(signature=signature)
    verified = words.verified(signature=signature)
    assert defects("step", json.loads(words.result("publish", published))) == []
    assert defects("step", json.loads(words.result("verify", verified))) == []
    kept = {
        **signature,
        **({"classes": [str(c) for c in signature["classes"]]} if "classes" in signature else {}),
    }

    job = a_training_job(a_world()).settles()
    job.pod().finishes(published)
    version = a_version(a_world()).settles()
    version.pod().ends("verify", verified)

    assert job.job_completes().settles().run["report"]["signature"] == kept
    assert version.job_completes().settles().status["signature"] == kept


def test_the_api_knows_every_field_of_a_signature() -> None:
    known = {field.alias for field in Signature.model_fields.values()}

    assert known == set(definition("step", "signature")["properties"])


@pytest.mark.parametrize(
    "parts",
    [
        {"task": "Regression", "metrics": [{"name": "rmse", "value": 3}]},
        {"metrics": []},
        {"parity": {"verdict": "Skipped", "compared": 0}},
        {"libraries": {}},
    ],
    ids="+".join,
)
def test_every_form_of_a_published_result_ends_in_a_version(parts: dict[str, Any]) -> None:
    said = words.published(**parts)
    assert defects("step", json.loads(words.result("publish", said))) == []
    job = a_training_job(a_world()).settles()
    job.pod().finishes(said)

    assert job.job_completes().settles().run["state"] == "Succeeded"


@pytest.mark.parametrize("left_out", ["task", None])
def test_every_form_of_a_verified_result_makes_the_version_ready(left_out: str | None) -> None:
    said = {name: value for name, value in words.verified().items() if name != left_out}
    assert defects("step", json.loads(words.result("verify", said))) == []
    version = a_version(a_world()).settles()
    version.pod().ends("verify", said)

    assert version.job_completes().settles().is_ready


def test_the_fullest_result_that_fits_the_termination_message_fits_the_resources_too() -> None:
    names = [f"feature_{number:03}" for number in range(90)]
    said = words.published(signature={**words.SIGNATURE, "features": names, "classes": list(range(100))})
    assert len(words.result("publish", said)) <= MOST_WORDS
    job = a_training_job(a_world()).settles()
    job.pod().finishes(said)

    assert job.job_completes().settles().run["state"] == "Succeeded"
