"""What is applied to the API server: nodes, namespaces with a claim, ModelVersions and InferenceServices. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

API_VERSION = "modelwright.dev/v1alpha1"
CLAIM = "artifacts"
NODES = 10
# Names of objects, and so of what the operator makes for them and of its Events.
VERSION, SERVICE = "version-", "service-"
_SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}


def nodes() -> Iterator[Object]:
    """The nodes that kwok plays."""
    for number in range(NODES):
        labels = {"kubernetes.io/hostname": f"node-{number}", "kubernetes.io/os": "linux"}
        yield {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"node-{number}", "labels": labels},
        }


def namespace(name: str) -> list[Object]:
    """A namespace, with a claim for model files and the volume that it is bound to."""
    size, modes = {"storage": "1Gi"}, ["ReadWriteMany"]
    volume = {
        "capacity": size,
        "accessModes": modes,
        "claimRef": {"namespace": name, "name": CLAIM},
        "hostPath": {"path": "/nothing"},
        "storageClassName": "",
    }
    claim = {
        "accessModes": modes,
        "resources": {"requests": size},
        "volumeName": f"{CLAIM}-{name}",
        "storageClassName": "",
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{CLAIM}-{name}"},
            "spec": volume,
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM, "namespace": name},
            "spec": claim,
        },
    ]


def version(namespace: str, name: str, model: str) -> Object:
    """A ModelVersion whose file is not verified yet."""
    artifact = {"uri": f"pvc://{CLAIM}/{name}/model.onnx", "digest": digest(name), "size": 100_000}
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelVersion",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"model": model, "artifact": artifact},
    }


def service(namespace: str, name: str, model: Object, **spec: Any) -> Object:
    """An InferenceService of one pod; `model` as in its spec."""
    return {
        "apiVersion": API_VERSION,
        "kind": "InferenceService",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"model": model, "resources": _SMALL, **spec},
    }


def digest(name: str) -> str:
    """A digest that belongs to this name alone."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def verified() -> str:
    """What the step `verify` leaves as its termination message, for a classifier of thirty columns."""
    names = [f"feature {number:02}" for number in range(30)]
    signature = {
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 30]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
        "classes": [0, 1],
        "features": names,
    }
    metrics = [{"name": name, "value": 0.97} for name in ("accuracy", "f1", "precision", "recall", "roc_auc")]
    return json.dumps({"result": {"task": "Classification", "metrics": metrics, "signature": signature}})


def ready_status(written: Object) -> Object:
    """The status of a ModelVersion as the operator has written it, for another one with the same facts."""
    status = written["status"]
    conditions = [each for each in status["conditions"] if each["type"] != "InUse"]
    return {**status, "conditions": conditions}
