"""The whole path on a real cluster: data, training, a checked version, answers, a change of version."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer
from support.kubectl import Kubectl, condition, message
from support.load import start
from support.manifests import FOREST, config_map, inference_service, script_pod, training_job
from support.predict import predict, rows

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

CANCER = load_breast_cancer()
REQUEST = rows(*CANCER.data[:2].tolist())
BREAK_GOLDEN = """
import json, pathlib
for path in pathlib.Path("/volume").glob("**/golden.json"):
    golden = json.loads(path.read_text())
    golden["response"]["outputs"][0]["data"] = [123456 for _ in golden["response"]["outputs"][0]["data"]]
    golden["response"]["outputs"][0]["datatype"] = "INT64"
    path.write_text(json.dumps(golden))
"""
OTHER_BYTES = """
import pathlib
for path in pathlib.Path("/volume").glob("**/model.onnx"):
    path.write_bytes(path.read_bytes() + b"tampered")
"""


def trained(kubectl: Kubectl, name: str, **spec: Any) -> str:
    """Trains a version; gives its name."""
    kubectl.apply(training_job(name, **spec))
    ready = kubectl.condition("trainingjob", name, "Ready", "True", "RunSucceeded", within=240)
    return str(ready["status"]["latestModelVersion"])


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
    first = trained(kubectl, "first", model="twins")
    second = trained(kubectl, "second", model="twins")

    digests = {kubectl.get("mv", version)["spec"]["artifact"]["digest"] for version in (first, second)}
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


def test_a_change_of_version_fails_no_request(kubectl: Kubectl) -> None:
    trained(kubectl, "cancer")
    more = {**FOREST, "parameters": {"n_estimators": 30}}
    kubectl.apply(
        inference_service("cancer", version="cancer-1", replicas=2, rollout={"scaleDownDelaySeconds": 5})
    )
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", within=120)
    load = start(kubectl, "cancer", REQUEST)
    trained(kubectl, "cancer", sklearn=more)

    for version in ("cancer-2", "cancer-1"):
        kubectl.patch("mwisvc", "cancer", {"spec": {"model": {"version": version}}})
        kubectl.condition("inferenceservice", "cancer", "Ready", "True", "Serving", within=120)
        kubectl.wait("mwisvc", "cancer", lambda found: "retired" not in found["status"], within=60)
        kubectl.wait("mwisvc", "cancer", lambda _: len(kubectl.all("deployment")) == 1, within=60)
    seen = load.stop()

    assert seen["failed"] == 0, seen
    assert set(seen["answered"]) == {"cancer-1", "cancer-2"}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(BREAK_GOLDEN, "GoldenMismatch"), (OTHER_BYTES, "DigestMismatch")],
    ids=["golden", "digest"],
)
def test_a_broken_new_version_never_takes_traffic(kubectl: Kubectl, damage: str, reason: str) -> None:
    trained(kubectl, "cancer")
    kubectl.apply(inference_service("cancer", version="cancer-1"))
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", within=120)
    load = start(kubectl, "cancer", REQUEST)
    trained(kubectl, "cancer", seed=1)
    kubectl.apply(script_pod("damage", damage, claim_name="modelwright-artifacts"))
    kubectl.wait("pod", "damage", lambda pod: pod["status"]["phase"] == "Succeeded")

    kubectl.patch("mwisvc", "cancer", {"spec": {"model": {"version": "cancer-2"}}})
    refused = kubectl.condition("inferenceservice", "cancer", "Stalled", "True", reason, within=120)
    kubectl.wait("mwisvc", "cancer", lambda _: len(kubectl.all("deployment")) == 1, within=60)
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
    kubectl.delete("modelversion", version)
    lost = kubectl.condition("inferenceservice", "cancer", "Ready", "False", "ModelNotFound")
    kubectl.patch("mwisvc", "cancer", {"spec": {"replicas": 2}})
    kubectl.wait("mwisvc", "cancer", lambda found: found["status"].get("replicas") == 2, within=120)
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


def test_deleting_a_service_leaves_nothing_but_the_models(kubectl: Kubectl) -> None:
    version = trained(kubectl, "cancer")
    kubectl.apply(inference_service("cancer", version=version))
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", within=120)

    kubectl.delete("mwisvc", "cancer", "--cascade=foreground", "--wait=true")

    assert kubectl.all("deployment") == []
    assert kubectl.find("service", "cancer") is None
    assert kubectl.find("modelversion", version) is not None
    assert kubectl.find("pvc", "modelwright-artifacts") is not None


def test_a_child_that_was_changed_by_hand_is_mended(kubectl: Kubectl) -> None:
    version = trained(kubectl, "cancer")
    kubectl.apply(inference_service("cancer", version=version))
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", within=120)
    selector = kubectl.get("service", "cancer")["spec"]["selector"]

    kubectl.patch("service", "cancer", {"spec": {"selector": {"modelwright.dev/revision": "other"}}})
    kubectl.wait("service", "cancer", lambda found: found["spec"]["selector"] == selector, within=30)
    kubectl.run("delete", "deployment", "--all")

    kubectl.wait("mwisvc", "cancer", lambda _: len(kubectl.all("deployment")) == 1, within=30)
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", within=120)


def test_replicas_go_up_down_and_to_nothing(kubectl: Kubectl) -> None:
    version = trained(kubectl, "cancer")
    kubectl.apply(inference_service("cancer", version=version))

    for replicas in (2, 0, 1):
        kubectl.patch("mwisvc", "cancer", {"spec": {"replicas": replicas}})
        found = kubectl.condition("inferenceservice", "cancer", "Ready", "True", within=120)
        assert found["status"]["replicas"] == replicas
        available = condition(found, "Available")
        assert available is not None
        assert (available["status"], json.dumps(available["reason"])) == (
            ("True", '"PodsReady"') if replicas else ("False", '"ScaledToZero"')
        )
