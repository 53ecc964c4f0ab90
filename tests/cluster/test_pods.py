"""What is said of pods reaches them, in a namespace that enforces the restricted standard, and what cannot work is
mended by the spec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.kubectl import Kubectl, Object, condition, message
from support.manifests import config_map, image, inference_service, own_trainer, secret, training_job

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

QUEUE = "kueue.x-k8s.io/queue-name"
# As a platform gives them: no user of the image, and group 0.
PLACED: Object = {
    "metadata": {"labels": {"team": "growth"}, "annotations": {"example.com/note": "x"}},
    "spec": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "securityContext": {"runAsUser": 1000650000, "runAsGroup": 0, "fsGroup": 1000650000},
    },
}
NOWHERE: Object = {"spec": {"nodeSelector": {"pool": "nowhere"}}}
# A small model. The test looks for the Secret itself, so it must not be in the program.
TRAIN = """
import json, os, pathlib, numpy as np, pandas as pd
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
assert os.getuid() == 1000650000 and os.getgid() == 0, (os.getuid(), os.getgid())
assert os.environ["HUB_TOKEN"][::-1] == "2retnuh" and os.environ["APP_LEVEL"] == "debug"
assert pathlib.Path("/certs/ca.pem").read_text() == "pem"
pathlib.Path("/scratch/x").write_text("x")
rows = pd.read_parquet("/data/train/train.parquet")
y = rows.pop(os.environ["MODELWRIGHT_TARGET"])
x = rows.to_numpy(np.float32)
model = LogisticRegression(max_iter=2000).fit(x, y)
pathlib.Path("/model/model.onnx").write_bytes(
    to_onnx(model, x[:1], options={"zipmap": False}, target_opset=18).SerializeToString()
)
"""
OWN: Object = {
    "env": [{"name": "HUB_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}],
    "envFrom": [{"prefix": "APP_", "configMapRef": {"name": "app"}}],
    "volumes": [
        {"name": "certs", "secret": {"secretName": "hub", "items": [{"key": "pem", "path": "ca.pem"}]}},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ],
    "volumeMounts": [
        {"name": "certs", "mountPath": "/certs", "readOnly": True},
        {"name": "tmp", "mountPath": "/scratch"},
    ],
}


def own(name: str, **spec: Any) -> Object:
    """A TrainingJob with a program of its own, and what that is given."""
    made = own_trainer("python3", "-c", TRAIN, name=name, defaultGates="Disabled", **spec)
    made["spec"]["trainer"] |= OWN
    return made


def started(kubectl: Kubectl, name: str) -> Object:
    """The Job of the first run."""
    kubectl.wait("job", f"{name}-1", lambda job: job, what="there")
    return kubectl.get("job", f"{name}-1")


def test_labels_ids_secrets_and_volumes_reach_the_pods_of_a_run_and_of_a_service(kubectl: Kubectl) -> None:
    kubectl.apply(
        secret("hub", {"token": "hunter2", "pem": "pem"}),
        config_map("app", LEVEL="debug"),
        own("placed", podTemplate=PLACED),
        inference_service("placed", track="placed", podTemplate=PLACED),
    )

    kubectl.condition("trainingjob", "placed", "Ready", "True", within=240)
    kubectl.condition("inferenceservice", "placed", "Ready", "True", within=120)

    pods = kubectl.all("pod", "team=growth")
    owners = {pod["metadata"]["ownerReferences"][0]["kind"] for pod in pods}
    assert owners == {"Job", "ReplicaSet"}
    for pod in pods:
        assert pod["metadata"]["annotations"]["example.com/note"] == "x"
        assert {"key": "spot", "operator": "Exists"} in pod["spec"]["tolerations"]
        assert pod["spec"]["securityContext"]["runAsUser"] == 1000650000
    kept = json.dumps(
        [kubectl.get("modelversion", "placed-1"), kubectl.get("trainingjob", "placed")["status"]]
    )
    assert "hunter2" not in kept
    assert "hunter2" not in json.dumps(kubectl.get("job", "placed-1"))


def test_what_no_node_takes_and_what_is_refused_is_mended_by_the_spec(kubectl: Kubectl) -> None:
    wrong: Object = {
        "spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}}
    }
    kubectl.apply(
        training_job("nowhere", podTemplate=NOWHERE),
        training_job("refused", podTemplate=wrong),
    )

    kubectl.condition("trainingjob", "nowhere", "Ready", "False", "Unschedulable", within=30)
    refused = kubectl.condition("trainingjob", "refused", "Ready", "False", "Refused", within=30)
    assert "nodeSelectorTerms" in message(refused)
    assert (condition(refused, "Stalled") or {})["status"] == "True"

    kubectl.apply(training_job("nowhere"), training_job("refused"))

    for name in ("nowhere", "refused"):
        done = kubectl.condition("trainingjob", name, "Ready", "True", within=240)
        assert done["status"]["run"]["number"] == 1


def test_a_service_that_no_node_takes_keeps_its_revision_and_is_mended(kubectl: Kubectl) -> None:
    kubectl.apply(training_job("churn"), inference_service("churn", track="churn"))
    kubectl.condition("inferenceservice", "churn", "Ready", "True", within=240)
    stable = kubectl.get("inferenceservice", "churn")["status"]["stable"]["revision"]

    kubectl.apply(inference_service("churn", track="churn", podTemplate=NOWHERE))

    waits = kubectl.wait(
        "inferenceservice", "churn", lambda found: "no node takes" in message(found), what="unschedulable"
    )
    assert waits["status"]["stable"]["revision"] == stable
    assert (condition(waits, "Available") or {})["status"] == "True"

    kubectl.apply(inference_service("churn", track="churn", podTemplate=PLACED))

    done = kubectl.condition("inferenceservice", "churn", "Ready", "True")
    assert done["status"]["stable"]["podTemplate"] == PLACED


def test_a_queued_run_waits_until_it_is_resumed(kubectl: Kubectl) -> None:
    """There is no Kueue here: the test does what Kueue does."""
    queued = training_job("queued", activeDeadlineSeconds=300, podTemplate=NOWHERE)
    queued["metadata"]["labels"] = {QUEUE: "gpus"}
    kubectl.apply(queued)

    waits = kubectl.condition("trainingjob", "queued", "Ready", "Unknown", "Queued")
    assert "waits in the queue gpus" in message(waits)
    assert (waits["status"]["run"]["state"], waits["status"]["run"].get("startTime")) == ("Pending", None)
    job = started(kubectl, "queued")
    assert (job["spec"]["suspend"], job["metadata"]["labels"][QUEUE]) == (True, "gpus")

    kubectl.apply({**queued, "spec": training_job(activeDeadlineSeconds=300)["spec"]})
    before = job["metadata"]["uid"]
    made = kubectl.wait(
        "job", "queued-1", lambda found: found["metadata"]["uid"] != before, what="another one"
    )
    assert "nodeSelector" not in made["spec"]["template"]["spec"]
    assert made["spec"]["suspend"] is True
    kubectl.patch("job", "queued-1", {"spec": {"suspend": False}})

    done = kubectl.condition("trainingjob", "queued", "Ready", "True", within=240)
    assert (done["status"]["run"]["number"], "startTime" in done["status"]["run"]) == (1, True)


REFUSED: list[tuple[Object, str]] = [
    (
        {"podTemplate": {"metadata": {"labels": {"modelwright.dev/x": "y"}}}},
        "are the operator's: leave them out",
    ),
    (
        {"podTemplate": {"metadata": {"labels": {"app.kubernetes.io/managed-by": "y"}}}},
        "are the operator's: leave them out",
    ),
    (
        {"podTemplate": {"metadata": {"annotations": {"a.modelwright.dev/x": "y"}}}},
        "are the operator's: leave them out",
    ),
    *(
        ({"podTemplate": {"metadata": {"annotations": {key: "unconfined"}}}}, "restricted: leave them out")
        for key in (
            "container.apparmor.security.beta.kubernetes.io/train",
            "seccomp.security.alpha.kubernetes.io/pod",
            "io.kubernetes.cri-o.Devices",
        )
    ),
    ({"podTemplate": {"metadata": {"labels": {"a b": "y"}}}}, "correct the key"),
    ({"podTemplate": {"metadata": {"labels": {"a": "b c"}}}}, "should match"),
    ({"podTemplate": {"spec": {"nodeSelector": {"a b": "y"}}}}, "correct the key"),
    ({"podTemplate": {"spec": {"securityContext": {"runAsUser": 0}}}}, "greater than or equal to 1"),
    (
        {"podTemplate": {"spec": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}}},
        "operator Exists has no value",
    ),
    ({"podTemplate": {"spec": {"tolerations": [{"value": "b"}]}}}, "set operator: Exists"),
    (
        {"podTemplate": {"spec": {"tolerations": [{"key": "a", "tolerationSeconds": 3}]}}},
        "goes with effect NoExecute",
    ),
    ({"podTemplate": {"spec": {"hostNetwork": True}}}, "hostNetwork"),
]
NOT_GIVEN: list[tuple[Object, str]] = [
    ({"volumeMounts": [{"name": "tmp", "mountPath": path}]}, "choose another folder")
    for path in (
        "/data",
        "/data/holdout",
        "/model",
        "/tmp/x",
        "/etc",
        "/etc/modelwright/run",
        "/dev",
        "/proc/1",
    )
] + [
    ({"volumeMounts": [{"name": "tmp", "mountPath": "/a/../data"}]}, "without . and .."),
    ({"volumeMounts": [{"name": "other", "mountPath": "/a"}]}, "add it there"),
    ({"volumes": [{"name": "tmp"}]}, "set exactly one of secret"),
    ({"volumes": [{"name": "tmp", "hostPath": {"path": "/"}}]}, "hostPath"),
    (
        {"env": [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]},
        "at most one",
    ),
    ({"env": [{"name": "A", "valueFrom": {}}]}, "set exactly one of secretKeyRef"),
    ({"envFrom": [{"prefix": "A_"}]}, "set exactly one of secretRef"),
]


def test_templates_that_cannot_work_are_refused_with_a_remedy(kubectl: Kubectl) -> None:
    for spec, said in REFUSED:
        for manifest in (training_job("refused", **spec), inference_service("refused", version="a", **spec)):
            assert said in _refused(kubectl, manifest), (spec, said)


def test_what_an_own_trainer_cannot_be_given_is_refused_with_a_remedy(kubectl: Kubectl) -> None:
    for parts, said in NOT_GIVEN:
        manifest = own("refused")
        manifest["spec"]["trainer"] |= parts
        assert said in _refused(kubectl, manifest), (parts, said)
    built_in = training_job(
        "refused", trainer={"sklearn": {"estimator": "sklearn.svm.SVC"}, "volumes": OWN["volumes"]}
    )
    assert "go with image" in _refused(kubectl, built_in)
    both = training_job("refused", trainer={"image": image("trainingImage"), **OWN, "env": []})
    kubectl.apply(both, dry_run=True)


def _refused(kubectl: Kubectl, manifest: Object) -> str:
    """What the API server says of a manifest that it does not take, or has fields that are not known."""
    try:
        kubectl.apply(manifest, dry_run=True)
    except AssertionError as error:
        return str(error)
    return ""
