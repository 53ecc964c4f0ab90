"""Versions that no run has made: scored on the data that they name, and accepted only with the signature asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.contracts.schemas import defects
from unit.given import words
from unit.given.resources import ModelVersion, a_service, a_training_job, a_world
from unit.given.world import NAMESPACE, World

from modelwright.common.resources import CLAIMS
from modelwright.engine.objects import Key

SECRET_QUERY = "https://example.org/held.csv?signature=secret"
EVALUATE = {"uri": SECRET_QUERY, "target": "churned", "extraColumns": ["region"]}
KEY = {"keySecretRef": {"name": "churn-key", "key": "public.pem"}}
HINT = "e" * 64
EVALUATION = {**words.EVALUATION, "trainRows": 0}


def by_hand(world: World | None = None, letter: str = "b", name: str = "legacy", **spec: Any) -> ModelVersion:
    body = {"model": "churn", "artifact": words.artifact(letter=letter), **spec}
    return ModelVersion(world or a_world(), name, body, labels={"modelwright.dev/model": "churn"})


def is_scored(version: ModelVersion, **report: Any) -> ModelVersion:
    version.settles()
    rows = {"train": 0, "holdout": 20}
    version.pod().ends("fetch", words.fetched(rows=rows)).ends(
        "verify", words.verified("b", evaluation=EVALUATION, **report)
    )
    return version.job_completes().settles()


def pod_of(version: ModelVersion) -> dict[str, Any]:
    spec: dict[str, Any] = version.world.api.objects[version.job_key]["spec"]["template"]["spec"]
    return spec


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in (*pod.get("initContainers", ()), *pod["containers"]) if each["name"] == name)


def env(pod: dict[str, Any], name: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(pod, name).get("env", ())}


def mounts(pod: dict[str, Any], name: str) -> dict[str, str]:
    return {
        each["mountPath"]: "ro" if each.get("readOnly") else "rw"
        for each in container(pod, name)["volumeMounts"]
    }


def document(version: ModelVersion) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(env(pod_of(version), "verify")["MODELWRIGHT_VERIFY"])
    assert defects("verify", found) == []
    return found


def test_a_version_that_names_data_is_scored_by_fetch_and_verify() -> None:
    version = by_hand(evaluate=EVALUATE).settles()
    pod = pod_of(version)

    assert [each["name"] for each in pod["initContainers"]] == ["fetch"]
    assert [each["name"] for each in pod["containers"]] == ["verify"]
    assert document(version)["evaluate"] == {"target": "churned", "extraColumns": ["region"]}
    assert [gate["name"] for gate in document(version)["gates"]] == [
        "better-than-baseline", "not-worse-than-champion"
    ]  # fmt: skip
    assert mounts(pod, "fetch") == {"/artifacts": "ro", "/data/holdout": "rw", "/tmp": "rw"}
    assert mounts(pod, "verify") == {"/artifacts": "ro", "/data/holdout": "ro", "/tmp": "rw"}
    rules = version.world.api.objects[version.job_key]["spec"]["podFailurePolicy"]["rules"]
    assert [rule["onExitCodes"]["containerName"] for rule in rules[:2]] == ["fetch", "verify"]


def test_only_fetch_knows_where_the_data_is() -> None:
    pod = pod_of(by_hand(evaluate=EVALUATE).settles())
    assert env(pod, "fetch")["MODELWRIGHT_SOURCE"] == SECRET_QUERY
    assert "secret" not in json.dumps(container(pod, "verify"))


def test_data_of_a_config_map_is_mounted_in_fetch() -> None:
    evaluate = {"configMapRef": {"name": "held", "key": "rows.csv"}, "target": "churned"}
    version = by_hand(evaluate=evaluate).settles()
    pod = pod_of(version)
    assert document(version)["evaluate"] == {"target": "churned"}
    assert mounts(pod, "fetch")["/source"] == "ro"
    assert "/source" not in mounts(pod, "verify")


def test_what_verify_measured_is_measured_and_judged() -> None:
    version = is_scored(by_hand(evaluate=EVALUATE), gates=words.GATES)

    assert version.is_ready
    assert {metric["source"] for metric in version.status["metrics"]} == {"Measured"}
    assert [gate["verdict"] for gate in version.status["gates"]] == ["Pass", "Pass"]
    assert version.status["evaluation"]["trainRows"] == 0
    assert not version.looks_once()


def test_a_version_that_is_no_better_than_the_baseline_is_not_ready() -> None:
    version = is_scored(by_hand(evaluate=EVALUATE), gates=[words.NO_BETTER, words.GATES[1]])
    assert not version.is_ready
    assert version.condition("Validated")["status"] != "True"


def test_without_evidence_no_gate_passes() -> None:
    assert not is_scored(by_hand(evaluate=EVALUATE)).is_ready


def test_without_data_it_is_as_ever() -> None:
    version = by_hand().is_verified("b")
    assert version.is_ready
    assert version.condition("Validated")["status"] == "Unknown"
    assert {metric["source"] for metric in version.status["metrics"]} == {"Reported"}


def test_its_champion_is_mounted_if_it_is_in_the_same_claim() -> None:
    world = a_world()
    a_training_job(world).succeeds()
    version = by_hand(world, evaluate=EVALUATE).settles()
    assert document(version)["champion"]["name"] == "churn-1"
    assert document(version)["champion"]["artifact"] == words.artifact()
    assert document(version)["champion"]["data"] == words.DATA_DIGEST
    assert mounts(pod_of(version), "verify")["/champion"] == "ro"
    assert "/champion" not in mounts(pod_of(version), "fetch")

    artifact = {**words.artifact(letter="b"), "uri": "pvc://other/model.onnx"}
    version = by_hand(world, name="elsewhere", evaluate=EVALUATE, artifact=artifact).settles()
    assert "champion" in document(version)
    assert "/champion" not in mounts(pod_of(version), "verify")


def test_its_champion_in_the_default_claim_is_mounted_for_a_file_in_a_bucket() -> None:
    world = a_world()
    (claim,) = a_training_job(world).succeeds().all(CLAIMS)
    world.edit(Key(CLAIMS, NAMESPACE, claim), status={"phase": "Bound"})
    artifact = {**words.artifact(letter="b"), "uri": "s3://models/model.onnx"}

    version = by_hand(world, name="elsewhere", evaluate=EVALUATE, artifact=artifact).settles()

    assert mounts(pod_of(version), "verify")["/champion"] == "ro"
    assert "/champion" not in mounts(pod_of(version), "fetch")


@pytest.mark.parametrize("reason", ["FeatureMissing", "TargetMissing", "DataDigestMismatch"])
def test_data_that_does_not_fit_is_final_and_says_nothing_against_the_file(reason: str) -> None:
    version = by_hand(evaluate=EVALUATE).settles()
    version.pod().fails("fetch", reason)
    version.job_fails().settles()
    assert version.reason == reason
    assert version.is_stalled
    assert version.condition("ArtifactVerified")["status"] == "Unknown"


@pytest.mark.parametrize("reason", ["DataNotFound", "ArtifactNotFound"])
def test_data_that_is_not_there_is_waited_for(reason: str) -> None:
    version = by_hand(evaluate=EVALUATE).settles()
    version.pod().fails("fetch", reason)
    version.job_fails().settles()
    assert (version.reason, version.kstatus) == (reason, "InProgress")


def test_a_claim_of_the_data_that_is_not_there_is_named() -> None:
    version = by_hand(evaluate={"uri": "pvc://lake/held.csv", "target": "churned"}).settles()
    version.pod().unschedulable('0/1 nodes are available: persistentvolumeclaim "lake" not found.')
    version.settles()
    assert version.reason == "DataNotFound"
    assert "PersistentVolumeClaim lake of the data to evaluate on" in version.message


def test_more_memory_than_there_is_is_said_of_the_step() -> None:
    version = by_hand(evaluate=EVALUATE).settles()
    version.pod().exits("fetch", 137, reason="OOMKilled")
    version.job_fails("BackoffLimitExceeded").settles()
    assert version.message.startswith("fetch used more memory than its limit: raise the operator's resources")


def test_the_key_is_mounted_in_verify_only() -> None:
    version = by_hand(evaluate=EVALUATE, verification=KEY).settles()
    pod = pod_of(version)
    (volume,) = [each for each in pod["volumes"] if "secret" in each]
    assert volume["secret"] == {
        "secretName": "churn-key", "optional": True, "defaultMode": 0o440,
        "items": [{"key": "public.pem", "path": "key.pem"}],
    }  # fmt: skip
    assert mounts(pod, "verify")["/etc/modelwright/signing"] == "ro"
    assert "/etc/modelwright/signing" not in mounts(pod, "fetch")
    assert document(version)["verification"] == "key public.pem of Secret churn-key"


def signed(**report: Any) -> ModelVersion:
    version = by_hand(verification=KEY).settles()
    version.pod().ends("verify", words.verified("b", **report))
    return version.job_completes().settles()


def test_a_signature_that_holds_is_a_condition_that_stays() -> None:
    version = signed(signedBy=HINT)
    assert version.is_ready
    found = version.condition("SignatureVerified")
    assert (found["status"], found["reason"]) == ("True", "SignatureValid")
    assert HINT in found["message"]
    assert not version.looks_once()


def test_a_training_image_that_checks_no_signature_makes_nothing_ready() -> None:
    version = signed()
    assert not version.is_ready
    assert version.condition("SignatureVerified")["status"] == "False"


@pytest.mark.parametrize("reason", ["SignatureInvalid", "WrongKey"])
def test_a_signature_that_does_not_hold_is_final_and_nothing_is_served(reason: str) -> None:
    world = a_world()
    version = by_hand(world, verification=KEY).settles()
    version.pod().fails("verify", reason)
    version.job_fails().settles()
    service = a_service(world, "legacy").settles()

    assert version.is_stalled
    assert version.reason == reason
    assert (version.condition("SignatureVerified")["status"], version.condition("SignatureVerified")["reason"]) == (
        "False", reason
    )  # fmt: skip
    assert service.deployed == {}


@pytest.mark.parametrize("reason", ["SignatureMissing", "KeyNotFound", "KeyUnreadable"])
def test_a_signature_or_key_that_is_not_there_yet_is_waited_for(reason: str) -> None:
    version = by_hand(verification=KEY).settles()
    version.pod().fails("verify", reason)
    version.job_fails().settles()
    assert (version.reason, version.kstatus) == (reason, "InProgress")
    assert version.condition("SignatureVerified")["reason"] == reason

    version.world.after(20)
    version.settles()
    version.pod().ends("verify", words.verified("b", signedBy=HINT))
    version.job_completes().settles()
    assert version.is_ready


def test_a_status_that_has_lost_the_signature_is_verified_anew() -> None:
    version = signed(signedBy=HINT)
    conditions = [each for each in version.status["conditions"] if each["type"] != "SignatureVerified"]
    version.world.edit(version.key, status={**version.status, "conditions": conditions})
    version.settles()
    assert not version.is_ready
    assert version.has_job()


def test_a_run_does_not_vouch_for_a_signature() -> None:
    """Whoever writes a version by hand may name a run in it."""
    world = a_world()
    a_training_job(world).succeeds()
    world.drop(ModelVersion.found(world, "churn-1").key)
    version = by_hand(
        world, "a", "churn-1", verification=KEY, lineage={"trainingJob": "churn", "run": 1}
    ).settles()
    assert not version.is_ready
    assert version.has_job()


def test_what_a_run_has_signed_says_so() -> None:
    world = a_world()
    job = a_training_job(world, signing={"keySecretRef": {"name": "churn-key", "key": "private.pem"}})
    job.succeeds(signedBy=HINT)
    found = job.version.condition("SignatureVerified")
    assert (found["status"], found["reason"]) == ("True", "Signed")
    assert job.version.is_ready
