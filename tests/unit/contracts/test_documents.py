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

CODE = {"repository": "https://example.org/team/train", "revision": "4f2a9c1"}
IMAGE = {"image": "team/train:1", "args": ["--fast"], "env": [{"name": "DEPTH", "value": "3"}], "code": CODE}
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
            "weight": "importance",
            "positiveClass": "yes",
            "sample": {"rows": 1000, "seed": 4},
            "leakCheck": {"threshold": 0.95, "onLeak": "Refuse"},
            "holdout": {"fraction": 0.25, "seed": 3, "stratify": False},
            "caConfigMapRef": {"name": "ca", "key": "ca.crt"},
        },
        "trainer": {
            "sklearn": {
                "estimator": "lightgbm.LGBMClassifier",
                "parameters": {"n_estimators": 20},
                "earlyStopping": {"rounds": 5, "fraction": 0.2},
            },
            "preprocess": [
                {"columns": ["age"], "impute": "Mean", "scale": "MinMax"},
                {"kind": "date", "drop": True},
            ],
        },
        "artifacts": {"uri": "pvc://models/team/risk"},
    },
    "own image": {"trainer": IMAGE, "task": "Regression", "seed": 3},
    "claim": {"data": {"uri": "pvc://lake/2026/churn.parquet", "target": "churned"}},
    "bundled": {"data": {"uri": "sklearn://breast_cancer", "target": "target"}},
}


def the_run_template(**recipe: Any) -> dict[str, Any]:
    """What the run that a recipe starts makes its pod from."""
    job = a_training_job(a_world(), **recipe).settles()
    template: dict[str, Any] = job.world.api.objects[job.job_key]["spec"]["template"]
    return template


def the_run_pod(**recipe: Any) -> dict[str, Any]:
    """The pod of the run that a recipe starts."""
    pod: dict[str, Any] = the_run_template(**recipe)["spec"]
    return pod


def the_run_document(**recipe: Any) -> dict[str, Any]:
    """What the run that a recipe starts is to do."""
    document: dict[str, Any] = json.loads(
        the_run_template(**recipe)["metadata"]["annotations"]["modelwright.dev/run"]
    )
    return document


def containers(pod: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The pod's containers by name, in their order."""
    return {c["name"]: c for c in (*pod.get("initContainers", ()), *pod["containers"])}


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """The container's variables."""
    return {variable["name"]: variable["value"] for variable in container.get("env", ())}


def stores_of(pod: Mapping[str, Any], container: str) -> dict[str, Any]:
    """The document of stores in a container."""
    found: dict[str, Any] = json.loads(environment(containers(pod)[container])["MODELWRIGHT_STORES"])
    return found


def mounts(pod: Mapping[str, Any], container: str) -> dict[str, str]:
    """Where the container may write and where it may only read."""
    found = containers(pod)[container]["volumeMounts"]
    return {m["mountPath"]: "ro" if m.get("readOnly") else "rw" for m in found}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_run_document_keeps_to_its_schema(recipe: dict[str, Any]) -> None:
    assert defects("run", the_run_document(**recipe)) == []


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_run_document_is_a_file_of_every_step_but_a_users_image(recipe: dict[str, Any]) -> None:
    pod = the_run_pod(**recipe)
    own = ["train"] if "image" in recipe.get("trainer", {}) else []
    (run,) = (volume for volume in pod["volumes"] if volume["name"] == "run")

    readers = [name for name in containers(pod) if "/etc/modelwright/run" in mounts(pod, name)]

    assert readers == [name for name in ("fetch", "train", "publish") if name not in own]
    assert run["downwardAPI"]["items"] == [
        {"path": "run.json", "fieldRef": {"fieldPath": "metadata.annotations['modelwright.dev/run']"}}
    ]


def test_only_fetch_is_given_the_sources_whose_query_may_hold_a_signature() -> None:
    uri = "https://user@example.org/churn.csv?X-Amz-Signature=SECRET#part"
    data = {"uri": uri, "target": "churned", "holdout": {"uri": "https://example.org/new.csv?key=SECRET"}}
    template = the_run_template(data=data)
    fetch, *others = containers(template["spec"]).values()

    assert environment(fetch) == {
        "MODELWRIGHT_SOURCE": uri,
        "MODELWRIGHT_HOLDOUT_SOURCE": "https://example.org/new.csv?key=SECRET",
    }
    rest = json.dumps([template["metadata"], others, template["spec"]["volumes"]])
    assert "example.org" not in rest
    assert "SECRET" not in rest


def test_the_run_document_says_what_the_recipe_says() -> None:
    recipe = RECIPES["every field"]

    document = the_run_document(**recipe)

    assert (document["trainingJob"], document["run"], document["namespace"]) == ("churn", 1, "team")
    assert document["uid"].startswith("uid-")
    assert (document["model"], document["seed"], document["task"]) == ("risk", 7, "Classification")
    assert document["trainer"] == recipe["trainer"]
    sources = {"uri", "caConfigMapRef", "holdout"}
    assert {k: v for k, v in document["data"].items() if k != "holdout"} == {
        k: v for k, v in recipe["data"].items() if k not in sources
    }
    assert document["data"]["holdout"] == {"fraction": 0.25, "seed": 3, "stratify": False}
    assert document["artifacts"] == {"uri": "pvc://models/team/risk"}


def test_a_hold_out_of_the_users_own_is_mounted_beside_the_data() -> None:
    data = {"uri": "pvc://lake/a.csv", "target": "churned", "holdout": {"uri": "configmap://new/b.csv"}}
    pod = the_run_pod(data=data)

    assert mounts(pod, "fetch")["/source"] == mounts(pod, "fetch")["/source-holdout"] == "ro"
    assert {"name": "source-holdout", "configMap": {"name": "new", "optional": True}} in pod["volumes"]
    assert "/source-holdout" not in mounts(pod, "train")


def test_no_step_sees_the_scratch_folder_of_another() -> None:
    pod = the_run_pod()
    scratch = {
        name: mount.get("subPath")
        for name, container in containers(pod).items()
        for mount in container["volumeMounts"]
        if mount["mountPath"] == "/tmp"
    }

    assert scratch == {"fetch": "fetch", "train": "train", "publish": "publish"}


def test_a_recipe_of_150_kb_is_run_and_one_of_a_megabyte_is_refused_in_words() -> None:
    def recipe(values: int) -> dict[str, Any]:
        rules = {
            f"column_{place}": {"values": [f"value-{n:015}" for n in range(values)]} for place in range(60)
        }
        return {"data": {"uri": "pvc://lake/wide.csv", "target": "y", "schema": rules}}

    assert len(json.dumps(the_run_document(**recipe(100)))) > 150_000
    job = a_training_job(a_world(), **recipe(200)).settles()
    assert job.condition("Ready")["reason"] == "SpecTooLarge"
    assert "data.schema" in job.condition("Ready")["message"]
    assert job.job_key not in job.world.api.objects


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
    run = {"/etc/modelwright/run": "ro"}
    data = {"/data/train": "rw", "/data/holdout": "rw", "/source": "ro"}
    assert mounts(pod, "fetch") == {**run, **data, "/tmp": "rw"}
    assert mounts(pod, "train") == {**run, "/data/train": "ro", "/model": "rw", "/tmp": "rw"}
    read_only = {**run, "/data/train": "ro", "/data/holdout": "ro", "/model": "ro"}
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

    assert mounts(with_ca, "fetch")["/etc/modelwright/stores/data"] == "ro"
    assert stores_of(with_ca, "fetch")["stores"] == {
        "data": {"field": "data.store", "authority": "ca.crt of ConfigMap ca (data.caConfigMapRef)"}
    }
    assert not any(path.startswith("/etc/modelwright/stores") for path in mounts(without, "fetch"))


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
