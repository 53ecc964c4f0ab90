"""What the operator tells the steps: documents that keep to their schemas, in the pods of docs/contracts/README.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from unit.contracts.schemas import defects
from unit.given import words
from unit.given.resources import a_service, a_training_job, a_version, a_world

from modelwright.common.resources import DEPLOYMENTS

IMAGE = {"image": "team/train:1", "args": ["--fast"], "env": [{"name": "DEPTH", "value": "3"}]}
RECIPES: dict[str, dict[str, Any]] = {
    "least": {},
    "every field": {
        "model": "risk",
        "task": "Classification",
        "seed": 7,
        "data": {
            "uri": "https://example.org/churn.csv?version=1",
            "digest": words.DATA_DIGEST,
            "target": "churned",
            "features": ["age", "plan"],
            "schema": {
                "age": {"type": "number", "min": 0, "max": 120.5, "nullable": False},
                "plan": {"values": ["free", "pro", 3]},
            },
            "holdout": {"fraction": 0.25, "seed": 3, "stratify": False},
            "caConfigMapRef": {"name": "ca", "key": "ca.crt"},
        },
        "trainer": {"sklearn": {"estimator": "sklearn.svm.SVC", "parameters": {"C": 2, "probability": True}}},
        "artifacts": {"uri": "pvc://models/team/risk"},
    },
    "own image": {"trainer": IMAGE, "task": "Regression", "seed": 3},
    "claim": {"data": {"uri": "pvc://lake/2026/churn.parquet", "target": "churned"}},
    "bundled": {"data": {"uri": "sklearn://breast_cancer", "target": "target"}},
}


def the_run_pod(**recipe: Any) -> dict[str, Any]:
    """The pod of the run that a recipe starts."""
    job = a_training_job(a_world(), **recipe).settles()
    pod: dict[str, Any] = job.world.api.objects[job.job_key]["spec"]["template"]["spec"]
    return pod


def containers(pod: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The pod's containers by name, in their order."""
    return {c["name"]: c for c in (*pod.get("initContainers", ()), *pod["containers"])}


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """The container's variables."""
    return {variable["name"]: variable["value"] for variable in container.get("env", ())}


def mounts(pod: Mapping[str, Any], container: str) -> dict[str, str]:
    """Where the container may write and where it may only read."""
    found = containers(pod)[container]["volumeMounts"]
    return {m["mountPath"]: "ro" if m.get("readOnly") else "rw" for m in found}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_run_document_keeps_to_its_schema(recipe: dict[str, Any]) -> None:
    pod = the_run_pod(**recipe)

    texts = [environment(c).get("MODELWRIGHT_RUN") for c in containers(pod).values()]
    documents = [json.loads(text) for text in texts if text]

    assert [defects("run", document) for document in documents] == [[]] * len(documents)
    assert len(documents) == (2 if "image" in recipe.get("trainer", {}) else 3)
    assert all({**document, "data": documents[0]["data"]} == documents[0] for document in documents)


def test_only_fetch_is_given_the_query_of_a_source_which_may_hold_a_signature() -> None:
    uri = "https://user@example.org/churn.csv?X-Amz-Signature=SECRET#part"
    pod = the_run_pod(data={"uri": uri, "target": "churned"})

    fetch, *others = (environment(c)["MODELWRIGHT_RUN"] for c in containers(pod).values())

    assert json.loads(fetch)["data"]["uri"] == uri
    assert [json.loads(other)["data"]["uri"] for other in others] == ["https://example.org/churn.csv"] * 2


def test_the_run_document_says_what_the_recipe_says() -> None:
    recipe = RECIPES["every field"]

    document = json.loads(environment(containers(the_run_pod(**recipe))["fetch"])["MODELWRIGHT_RUN"])

    assert (document["trainingJob"], document["run"], document["namespace"]) == ("churn", 1, "team")
    assert (document["model"], document["seed"], document["task"]) == ("risk", 7, "Classification")
    assert document["trainer"] == recipe["trainer"]
    assert document["data"]["schema"]["plan"]["values"] == ["free", "pro", 3]
    assert document["data"]["holdout"] == {"fraction": 0.25, "seed": 3, "stratify": False}
    assert document["artifacts"] == {"uri": "pvc://models/team/risk"}


def test_the_verify_document_keeps_to_its_schema() -> None:
    version = a_version(a_world()).settles()
    pod = version.world.api.objects[version.job_key]["spec"]["template"]["spec"]

    document = json.loads(environment(containers(pod)["verify"])["MODELWRIGHT_VERIFY"])

    assert defects("verify", document) == []
    assert document["artifact"] == words.artifact()
    assert containers(pod)["verify"]["command"] == ["modelwright-training", "verify"]
    assert mounts(pod, "verify") == {"/artifacts": "ro", "/tmp": "rw"}


def test_the_trainer_never_sees_the_hold_out_nor_the_store() -> None:
    pod = the_run_pod()

    assert list(containers(pod)) == ["fetch", "train", "publish"]
    assert mounts(pod, "fetch") == {"/data/train": "rw", "/data/holdout": "rw", "/source": "ro", "/tmp": "rw"}
    assert mounts(pod, "train") == {"/data/train": "ro", "/model": "rw", "/tmp": "rw"}
    read_only = {"/data/train": "ro", "/data/holdout": "ro", "/model": "ro"}
    assert mounts(pod, "publish") == {**read_only, "/artifacts": "rw", "/tmp": "rw"}


@pytest.mark.parametrize("step", ["fetch", "train", "publish"])
def test_each_step_is_started_as_the_contract_says(step: str) -> None:
    assert containers(the_run_pod())[step]["command"] == ["modelwright-training", step]


def test_a_users_image_is_told_the_target_and_the_seed_and_gets_no_run_document() -> None:
    train = containers(the_run_pod(**RECIPES["own image"]))["train"]

    assert environment(train) == {
        "MODELWRIGHT_TARGET": "churned",
        "MODELWRIGHT_SEED": "3",
        "MODELWRIGHT_TASK": "Regression",
        "DEPTH": "3",
    }
    assert (train["image"], train["args"]) == ("team/train:1", ["--fast"])
    assert "command" not in train, "the image's own entry point"


@pytest.mark.parametrize(
    ("uri", "volume"),
    [
        ("pvc://lake/2026/churn.parquet", {"persistentVolumeClaim": {"claimName": "lake", "readOnly": True}}),
        ("configmap://churn-data/churn.csv", {"configMap": {"name": "churn-data", "optional": True}}),
    ],
)
def test_data_of_the_namespace_is_mounted_as_the_source(uri: str, volume: dict[str, Any]) -> None:
    pod = the_run_pod(data={"uri": uri, "target": "churned"})

    assert {"name": "source", **volume} in pod["volumes"]
    assert mounts(pod, "fetch")["/source"] == "ro"


def test_certificates_are_mounted_only_when_they_are_named() -> None:
    with_ca = the_run_pod(**RECIPES["every field"])
    without = the_run_pod(data={"uri": "https://example.org/churn.csv", "target": "churned"})

    assert mounts(with_ca, "fetch")["/etc/modelwright/ca"] == "ro"
    assert environment(containers(with_ca)["fetch"])["SSL_CERT_FILE"] == "/etc/modelwright/ca/ca.crt"
    assert set(mounts(without, "fetch")) == {"/data/train", "/data/holdout", "/tmp"}


def test_the_pod_of_a_revision_is_the_one_of_the_contract() -> None:
    world = a_world()
    a_version(world).is_verified()
    (deployment,) = a_service(world).settles().all(DEPLOYMENTS).values()
    pod = deployment["spec"]["template"]["spec"]
    server = containers(pod)["server"]["command"]

    assert list(containers(pod)) == ["pull", "server"]
    assert containers(pod)["pull"]["command"][0] == "modelwright-pull"
    assert mounts(pod, "pull") == {"/artifacts": "ro", "/model": "rw", "/tmp": "rw"}
    assert mounts(pod, "server") == {"/model": "ro", "/etc/modelwright/traffic": "ro", "/tmp": "rw"}
    assert server[:3] == ["modelwright-serving", "--model", "/model/model.onnx"]
    options = dict(zip(server[1::2], server[2::2], strict=True))
    assert (options["--name"], options["--model-version"]) == ("churn", "churn-1")
    assert options["--model-digest"] == words.digest()
    rules = [value for option, value in zip(server[1::2], server[2::2], strict=True) if option == "--traffic"]
    assert rules == ["/etc/modelwright/traffic/rule.json", "/etc/modelwright/traffic/traffic.json"]


@pytest.mark.parametrize(
    "pod", [the_run_pod(), the_run_pod(**RECIPES["own image"])], ids=["built-in", "own image"]
)
def test_every_container_runs_as_the_user_of_the_contract(pod: dict[str, Any]) -> None:
    security = pod["securityContext"]

    assert {security[who] for who in ("runAsUser", "runAsGroup", "fsGroup")} == {65532}
    assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in containers(pod).values())
    assert {"name": "tmp", "emptyDir": {}} in pod["volumes"]
