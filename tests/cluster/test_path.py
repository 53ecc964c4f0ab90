"""The whole path on a real cluster: data, training, a checked version, answers, a change of version."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer
from support.kubectl import Kubectl, Object, condition, message
from support.load import start
from support.manifests import config_map, inference_service, script_pod, training_job
from support.predict import predict, rows

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

CANCER = load_breast_cancer()
REQUEST = rows(*CANCER.data[:2].tolist())
# Whom the admission policy lets delete a ModelVersion that is served.
AS_GARBAGE_COLLECTOR = "--as=system:serviceaccount:kube-system:generic-garbage-collector"
BREAK_GOLDEN = """
import json, os, pathlib
(path,) = pathlib.Path("/volume").glob(f"**/{os.environ['DIGEST'].replace(':', '-')}/golden.json")
golden = json.loads(path.read_text())
golden["response"]["outputs"][0]["data"] = [123456 for _ in golden["response"]["outputs"][0]["data"]]
golden["response"]["outputs"][0]["datatype"] = "INT64"
path.write_text(json.dumps(golden))
"""


def trained(kubectl: Kubectl, name: str, **spec: Any) -> str:
    """Trains a version; gives its name."""
    kubectl.apply(training_job(name, **spec))
    return latest(kubectl, name)


def latest(kubectl: Kubectl, name: str) -> str:
    """Waits for the run that a TrainingJob asks for; gives the name of the version."""
    ready = kubectl.condition("trainingjob", name, "Ready", "True", "RunSucceeded", within=240)
    return str(ready["status"]["latestModelVersion"])


@pytest.fixture(scope="module")
def cancer(shared: Kubectl) -> Kubectl:
    """A namespace with the versions `cancer-1` and `cancer-2`."""
    trained(shared, "cancer")
    trained(shared, "cancer", seed=1)
    return shared


def serves(kubectl: Kubectl, name: str, **spec: Any) -> None:
    """A service that answers with `cancer-1`."""
    kubectl.apply(inference_service(name, version="cancer-1", **spec))
    kubectl.condition("mwisvc", name, "Ready", "True", within=120)


def waits_for_one_deployment(kubectl: Kubectl, name: str, within: float = 60) -> None:
    """Until one revision of a service is left."""

    def holds(found: Object) -> bool:
        left = kubectl.all("deployment", f"modelwright.dev/inference-service={name}")
        return "retired" not in found["status"] and len(left) == 1

    kubectl.wait("mwisvc", name, holds, within=within, what="served by one Deployment")


def test_data_becomes_an_answer(kubectl: Kubectl) -> None:
    kubectl.apply(inference_service("cancer", track="cancer"))
    kubectl.condition("inferenceservice", "cancer", "Ready", "False", "ModelNotFound")
    version = trained(kubectl, "cancer")
    service = kubectl.condition("inferenceservice", "cancer", "Ready", "True", "Serving", within=180)

    fact = kubectl.condition("modelversion", version, "Ready", "True")
    answer, headers = predict(kubectl, "cancer", REQUEST)

    metrics = {metric["name"]: metric for metric in fact["status"]["metrics"]}
    assert metrics["accuracy"]["source"] == "Measured"
    assert 0.85 < metrics["accuracy"]["value"] <= 1
    assert fact["status"]["parity"]["verdict"] == "Pass"
    assert fact["spec"]["lineage"]["trainingJob"] == "cancer"
    assert fact["spec"]["lineage"]["data"][0]["digest"].startswith("sha256:")
    assert {image["step"] for image in fact["spec"]["lineage"]["images"]} == {"fetch", "train", "publish"}
    assert service["status"]["stable"]["version"] == version
    assert service["status"]["url"] == f"http://cancer.{kubectl.namespace}.svc"
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert outputs["label"] == CANCER.target[:2].tolist() or outputs["label"] == [
        CANCER.target_names[label] for label in CANCER.target[:2]
    ]
    assert headers["modelwright-model-digest"] == fact["spec"]["artifact"]["digest"]


def test_the_same_inputs_give_the_same_digest(kubectl: Kubectl) -> None:
    names = ("first", "second")
    kubectl.apply(*(training_job(name, model="twins") for name in names))

    digests = {kubectl.get("mv", latest(kubectl, name))["spec"]["artifact"]["digest"] for name in names}
    assert len(digests) == 1


def test_mixed_columns_with_gaps_are_learnt_and_served(kubectl: Kubectl) -> None:
    lines = [
        f"{'' if n % 7 == 0 else 20 + n % 50},{'' if n % 11 == 0 else ('pro' if n % 3 else 'free')},{int(n % 3 == 0)}"
        for n in range(200)
    ]
    text = "age,plan,churned\n" + "\n".join(lines) + "\n"
    kubectl.apply(config_map("churn", data_csv=text))
    data = {
        "uri": "configmap://churn/data.csv",
        "target": "churned",
        "schema": {"age": {"min": 0, "max": 120}},
    }
    trained(kubectl, "churn", data=data, sklearn={"estimator": "sklearn.linear_model.LogisticRegression"})
    kubectl.apply(inference_service("churn", version="churn-1"))
    kubectl.condition("inferenceservice", "churn", "Ready", "True", within=120)

    answer, _ = predict(
        kubectl,
        "churn",
        {
            "inputs": [
                {"name": "age", "shape": [2, 1], "datatype": "FP32", "data": [33, None]},
                {"name": "plan", "shape": [2, 1], "datatype": "BYTES", "data": ["free", "pro"]},
            ]
        },
    )

    assert [output["shape"][0] for output in answer["outputs"]] == [2, 2]


def test_a_change_of_version_fails_no_request(cancer: Kubectl) -> None:
    serves(cancer, "changed", replicas=2, rollout={"scaleDownDelaySeconds": 5})
    load = start(cancer, "changed", REQUEST, name="load-changed")

    for version in ("cancer-2", "cancer-1"):
        cancer.patch("mwisvc", "changed", {"spec": {"model": {"version": version}}})
        cancer.condition("mwisvc", "changed", "Ready", "True", "Serving", within=120)
        waits_for_one_deployment(cancer, "changed")
    seen = load.stop()

    assert seen["failed"] == 0, seen
    assert set(seen["answered"]) == {"cancer-1", "cancer-2"}


def test_a_version_that_does_not_answer_as_it_was_measured_never_takes_traffic(cancer: Kubectl) -> None:
    serves(cancer, "golden")
    load = start(cancer, "golden", REQUEST, name="load-golden")
    version = trained(cancer, "broken", seed=2)
    digest = cancer.get("mv", version)["spec"]["artifact"]["digest"]
    cancer.apply(
        script_pod("damage", BREAK_GOLDEN, claim_name="modelwright-artifacts", env={"DIGEST": digest})
    )
    cancer.wait("pod", "damage", lambda pod: pod["status"]["phase"] == "Succeeded")

    cancer.patch("mwisvc", "golden", {"spec": {"model": {"version": version}}})
    refused = cancer.condition("mwisvc", "golden", "Stalled", "True", "GoldenMismatch", within=120)
    seen = load.stop()

    assert "cancer-1 keeps the traffic" in message(refused)
    assert condition(refused, "Available")["status"] == "True"  # type: ignore[index]
    assert refused["status"]["stable"]["version"] == "cancer-1"
    assert seen["failed"] == 0, seen
    assert set(seen["answered"]) == {"cancer-1"}


def test_what_is_served_outlives_what_it_came_from(kubectl: Kubectl) -> None:
    version = trained(kubectl, "cancer")
    kubectl.apply(inference_service("cancer", version=version))
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", within=120)

    kubectl.delete("trainingjob", "cancer")
    assert kubectl.find("modelversion", version) is not None
    kubectl.delete("modelversion", version, AS_GARBAGE_COLLECTOR)
    lost = kubectl.condition("inferenceservice", "cancer", "Ready", "False", "ModelNotFound")
    kubectl.patch("mwisvc", "cancer", {"spec": {"replicas": 2}})
    kubectl.wait("mwisvc", "cancer", lambda found: found["status"].get("readyReplicas") == 2, within=120)
    answer, _ = predict(kubectl, "cancer", REQUEST)

    assert condition(lost, "Available")["status"] == "True"  # type: ignore[index]
    assert answer["model_version"] == version
    trained(kubectl, "cancer")
    assert kubectl.get("mv", "cancer-1")["metadata"]["labels"]["modelwright.dev/training-job"] == "cancer"


def test_a_new_training_job_of_an_old_name_keeps_the_old_versions(kubectl: Kubectl) -> None:
    trained(kubectl, "cancer")
    kubectl.delete("trainingjob", "cancer")

    assert trained(kubectl, "cancer", seed=3) == "cancer-2"
    assert kubectl.find("mv", "cancer-1") is not None


def test_deleting_a_service_leaves_nothing_but_the_models(cancer: Kubectl) -> None:
    serves(cancer, "deleted")

    cancer.delete("mwisvc", "deleted", "--cascade=foreground", "--wait=true")

    assert cancer.all("deployment", "modelwright.dev/inference-service=deleted") == []
    assert cancer.find("service", "deleted") is None
    assert cancer.find("modelversion", "cancer-1") is not None
    assert cancer.find("pvc", "modelwright-artifacts") is not None


def test_a_child_that_was_changed_by_hand_is_mended(cancer: Kubectl) -> None:
    serves(cancer, "mended")
    selector = cancer.get("service", "mended")["spec"]["selector"]

    cancer.patch("service", "mended", {"spec": {"selector": {"modelwright.dev/revision": "other"}}})
    cancer.wait("service", "mended", lambda found: found["spec"]["selector"] == selector, within=30)
    cancer.run("delete", "deployment", "--selector=modelwright.dev/inference-service=mended")

    waits_for_one_deployment(cancer, "mended", within=30)
    cancer.condition("mwisvc", "mended", "Ready", "True", within=120)


def test_replicas_go_up_down_and_to_nothing(cancer: Kubectl) -> None:
    serves(cancer, "scaled")

    for replicas in (2, 0, 1):
        cancer.patch("mwisvc", "scaled", {"spec": {"replicas": replicas}})
        found = cancer.condition("mwisvc", "scaled", "Ready", "True", within=120)
        assert found["status"]["readyReplicas"] == found["status"]["replicas"] == replicas
        available = condition(found, "Available")
        assert available is not None
        expected = ("True", "PodsReady") if replicas else ("False", "ScaledToZero")
        assert (available["status"], available["reason"]) == expected
