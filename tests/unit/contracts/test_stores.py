"""Which containers reach stores: their documents keep to the schema, and no other container has a credential."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from unit.contracts.schemas import defects
from unit.contracts.test_documents import containers, environment, mounts
from unit.given import words
from unit.given.resources import (
    ModelVersion,
    TrainingJob,
    a_service,
    a_training_job,
    a_world,
)
from unit.given.world import World

from modelwright.api.stores import Store
from modelwright.common.resources import DEPLOYMENTS, JOBS
from modelwright.common.settings import StoreDefault
from modelwright.trainingjob.retirement import GRACE

KEYS = {"secretRef": {"name": "keys"}}
ROLE = {"identity": {"roleArn": "arn:aws:iam::1:role/models", "stsEndpoint": "https://sts.corp"}}
CA = {"name": "corp-ca", "key": "ca.crt"}
S3 = {**KEYS, "endpoint": "https://s3.corp:9000", "region": "eu-central-1", "caConfigMapRef": CA}
SOURCE = {
    "image": "exporter:1",
    "command": ["export"],
    "args": ["--table", "churn"],
    "env": [{"name": "DEPTH", "value": "3"}],
    "secretRef": {"name": "warehouse"},
}
DVC = {"configMapRef": {"name": "repo", "key": "dvc.lock"}, "path": "data/churn.csv"}
BUCKET = {"uri": "s3://models/churn", "store": ROLE}
Y = {"target": "churned"}
RUNS: dict[str, dict[str, Any]] = {
    "nothing outside": {},
    "bucket to bucket": {"data": {"uri": "s3://lake/a.csv", "store": S3, **Y}, "artifacts": BUCKET},
    "web to claim": {"data": {"uri": "https://a.example/a.csv", "store": KEYS, "caConfigMapRef": CA, **Y}},
    "own hold-out": {"data": {"uri": "s3://l/a.csv", "store": KEYS, "holdout": {"uri": "s3://l/b.csv"}, **Y}},
    "claim to registry": {"artifacts": {"uri": "oci://registry.corp/models", "store": KEYS}},
    "dvc": {"data": {"uri": "gs://remote/dvc", "store": KEYS, "dvc": DVC, **Y}},
    "a container makes it": {"data": {"source": SOURCE, **Y}, "artifacts": BUCKET},
    "an own image": {"trainer": {"image": "mine:1"}, "artifacts": {"uri": "az://models/x", "store": KEYS}},
    "the administrator's": {
        "data": {"uri": "s3://corp/a.csv", **Y},
        "artifacts": {"uri": "s3://corp/models"},
    },
}
# Who may have which stores.
MAY = {
    "fetch": {"data", "holdout", "artifacts"},
    "publish": {"artifacts", "champion"},
    "verify": {"artifacts", "champion"},
    "delete": {"artifacts"},
    "pull": {"artifacts"},
}
ARTIFACT = {"uri": f"s3://models/churn/sha256-{'a' * 64}/model.onnx", "digest": words.digest(), "size": 2048}


def corp() -> World:
    """A cluster whose administrator knows a store and allows a network."""
    default = StoreDefault("s3://corp", Store.model_validate(S3))
    return a_world(stores=(default,), allowed_networks=("10.0.0.0/8",))


def pod_of(world: World, name: str) -> dict[str, Any]:
    """The pod that a Job makes."""
    (job,) = [body for key, body in world.api.objects.items() if key.resource == JOBS and key.name == name]
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def secret_volumes(pod: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of the volumes that hold something of a Secret, or a token, and what they hold."""
    found: dict[str, list[str]] = {}
    for volume in pod["volumes"]:
        sources = [volume, *volume.get("projected", {}).get("sources", ())]
        kinds = [kind for source in sources for kind in ("secret", "serviceAccountToken") if kind in source]
        if kinds:
            found[volume["name"]] = kinds
    return found


def holds_no_more_than_it_may(pod: Mapping[str, Any]) -> None:
    """Holds every container of a pod to what it may have of stores and of Secrets."""
    assert pod["automountServiceAccountToken"] is False
    secrets = secret_volumes(pod)
    for name, container in containers(pod).items():
        given = environment(container)
        document = json.loads(given.get("MODELWRIGHT_STORES", "{}"))
        assert defects("stores", document) == []
        assert document.get("stores", {}).keys() <= MAY.get(name, set()), name
        mounted = {each["name"]: each for each in container["volumeMounts"] if each["name"] in secrets}
        allowed = {f"store-{store}" for store in document.get("stores", {})}
        assert mounted.keys() <= allowed | ({"credentials"} if name == "source" else set()), name
        assert all(each["readOnly"] for each in mounted.values())
        assert "envFrom" not in container
        assert not any("valueFrom" in variable for variable in container.get("env", ()))


@pytest.mark.parametrize("recipe", RUNS.values(), ids=RUNS)
def test_no_container_of_a_run_has_more_than_it_may(recipe: dict[str, Any]) -> None:
    job = a_training_job(corp(), **recipe).settles()
    pod = pod_of(job.world, "churn-1")

    holds_no_more_than_it_may(pod)
    assert not secret_volumes({"volumes": [v for v in pod["volumes"] if v["name"] in _of(pod, "train")]})


def _of(pod: Mapping[str, Any], container: str) -> set[str]:
    return {each["name"] for each in containers(pod)[container]["volumeMounts"]}


def stores(pod: Mapping[str, Any], container: str) -> dict[str, Any]:
    """The stores that a container is given."""
    document = json.loads(environment(containers(pod)[container]).get("MODELWRIGHT_STORES", "{}"))
    found: dict[str, Any] = document.get("stores", {})
    return found


def test_fetch_can_prove_that_the_model_can_be_written() -> None:
    job = a_training_job(corp(), **RUNS["bucket to bucket"]).settles()
    pod = pod_of(job.world, "churn-1")

    assert stores(pod, "fetch").keys() == {"data", "artifacts"}
    assert stores(pod, "fetch")["artifacts"] == stores(pod, "publish")["artifacts"]
    assert "/artifacts" not in {**mounts(pod, "fetch"), **mounts(pod, "publish")}
    assert not [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert [key.name for key in job.world.api.objects if key.resource.kind == "PersistentVolumeClaim"] == []


def test_the_administrators_store_is_trusted_and_its_secret_is_that_of_the_namespace() -> None:
    job = a_training_job(corp(), **RUNS["the administrator's"]).settles()
    pod = pod_of(job.world, "churn-1")

    assert stores(pod, "publish")["artifacts"] == {
        "field": "artifacts.store", "secret": "keys", "endpoint": S3["endpoint"], "region": S3["region"],
        "authority": "ca.crt of ConfigMap corp-ca", "trusted": True,
    }  # fmt: skip


def test_a_container_that_makes_the_data_is_the_only_one_with_its_secret() -> None:
    job = a_training_job(corp(), **RUNS["a container makes it"]).settles()
    pod = pod_of(job.world, "churn-1")
    source, fetch = containers(pod)["source"], containers(pod)["fetch"]

    assert list(containers(pod)) == ["source", "fetch", "train", "publish"]
    assert (source["image"], source["command"], source["args"]) == (
        "exporter:1",
        ["export"],
        ["--table", "churn"],
    )
    assert environment(source) == {"DEPTH": "3"}
    assert mounts(pod, "source") == {"/out": "rw", "/credentials": "ro", "/tmp": "rw"}
    assert mounts(pod, "fetch")["/source"] == "ro"
    assert environment(fetch)["MODELWRIGHT_SOURCE"] == "source://exporter:1"
    assert {"name": "source", "emptyDir": {}} in pod["volumes"]
    secret = {"secretName": "warehouse", "defaultMode": 0o440}
    assert {"name": "credentials", "secret": secret} in pod["volumes"]
    assert [name for name in containers(pod) if "/credentials" in mounts(pod, name)] == ["source"]
    rules = job.world.api.objects[job.job_key]["spec"]["podFailurePolicy"]["rules"]
    assert {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule} == {
        "source", "fetch", "train", "publish"
    }  # fmt: skip


def test_data_that_dvc_tracks_comes_with_the_file_of_its_repository() -> None:
    job = a_training_job(corp(), **RUNS["dvc"]).settles()
    pod = pod_of(job.world, "churn-1")

    given = environment(containers(pod)["fetch"])
    assert given["MODELWRIGHT_SOURCE"] == "gs://remote/dvc"
    assert json.loads(given["MODELWRIGHT_DVC"]) == {"file": "/dvc/dvc.lock", "path": "data/churn.csv"}
    assert [name for name in containers(pod) if "/dvc" in mounts(pod, name)] == ["fetch"]
    assert {"name": "dvc", "configMap": {"name": "repo", "optional": True}} in pod["volumes"]


def a_bucket_version(world: World, name: str = "churn-1", **spec: Any) -> ModelVersion:
    """A ModelVersion by hand whose file is in a bucket."""
    artifact = {**ARTIFACT, "store": S3}
    return ModelVersion(world, name, {"model": "churn", "artifact": artifact, **spec})


def test_verify_and_its_fetch_reach_the_store_of_the_file() -> None:
    evaluate = {"uri": "https://a.example/h.csv", "store": KEYS, "target": "churned"}
    version = a_bucket_version(corp(), evaluate=evaluate).settles()
    pod = pod_of(version.world, version.job_name)

    holds_no_more_than_it_may(pod)
    assert stores(pod, "verify").keys() == {"artifacts"}
    assert stores(pod, "fetch")["data"] == {"field": "evaluate.store", "secret": "keys"}
    assert stores(pod, "fetch")["artifacts"]["field"] == "artifact.store"
    assert "/artifacts" not in mounts(pod, "verify")
    document = environment(containers(pod)["verify"])["MODELWRIGHT_VERIFY"]
    assert defects("verify", json.loads(document)) == []
    assert json.loads(document)["artifact"] == ARTIFACT
    assert "a.example" not in json.dumps([containers(pod)["verify"], pod["volumes"]])


def test_a_champion_outside_is_a_store_of_what_compares_with_it() -> None:
    world = corp()
    a_bucket_version(world).is_verified()
    a_service(world).serves()

    job = a_training_job(world, artifacts={"uri": "pvc://models/x"}, model="churn", name="again").settles()
    pod = pod_of(world, "again-1")

    holds_no_more_than_it_may(pod)
    assert stores(pod, "publish") == {
        "champion": {
            "field": "champion.store", "secret": "keys", "endpoint": S3["endpoint"], "region": S3["region"],
            "authority": "ca.crt of ConfigMap corp-ca", "trusted": True,
        }
    }  # fmt: skip
    assert stores(pod, "fetch") == {}
    assert "/champion" not in mounts(pod, "publish")
    assert mounts(pod, "publish")["/artifacts"] == "rw"
    assert job.world is world


def test_pull_reaches_the_store_and_the_server_does_not() -> None:
    world = corp()
    a_bucket_version(world).is_verified()
    (deployment,) = a_service(world).settles().all(DEPLOYMENTS).values()
    pod = deployment["spec"]["template"]["spec"]

    holds_no_more_than_it_may(pod)
    assert mounts(pod, "pull") == {"/model": "rw", "/tmp": "rw", "/etc/modelwright/stores/artifacts": "ro"}
    assert mounts(pod, "server") == {"/model": "ro", "/etc/modelwright/traffic": "ro", "/tmp": "rw"}
    pull = containers(pod)["pull"]["command"]
    assert pull == [
        "modelwright-pull", "--uri", ARTIFACT["uri"], "--digest", ARTIFACT["digest"], "--to", "/model"
    ]  # fmt: skip
    assert stores(pod, "pull")["artifacts"]["field"] == "artifact.store"


def bucket_runs(job: TrainingJob) -> None:
    """Two runs whose models are in a bucket."""
    for number, letter in ((1, "a"), (2, "b")):
        job.changes(seed=number)
        artifact = {
            "uri": f"s3://models/churn/sha256-{letter * 64}/model.onnx", "digest": words.digest(letter), "size": 2048
        }  # fmt: skip
        job.succeeds(letter, artifact=artifact)
        for version in job.versions:  # it may lose an alias
            ModelVersion.found(job.world, version).settles()
    job.settles()


def test_delete_reaches_the_store_that_the_version_had() -> None:
    artifacts = {**BUCKET, "deletionPolicy": "Delete"}
    job = a_training_job(corp(), artifacts=artifacts, versionsHistoryLimit=1)
    bucket_runs(job)
    for _ in range(3):
        job.world.after(GRACE.total_seconds())
        job.settles()
    pod = pod_of(job.world, "churn-1-delete")

    holds_no_more_than_it_may(pod)
    document = json.loads(environment(containers(pod)["delete"])["MODELWRIGHT_DELETE"])
    assert defects("delete", document) == []
    assert document["uid"] == job.world.api.objects[job.key]["metadata"]["uid"]
    assert document["artifact"].keys() == {"uri", "digest", "size"}
    assert stores(pod, "delete")["artifacts"] == {
        "field": "artifacts.store", "identity": ROLE["identity"]
    }  # fmt: skip
    assert mounts(pod, "delete") == {"/tmp": "rw", "/etc/modelwright/stores/artifacts": "ro"}
