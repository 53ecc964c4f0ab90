"""Manifests that tests apply, each made by one function from what matters to the test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from modelwright.engine.api import MANAGED_BY, MANAGER
from support.kubectl import ROOT, Object

API_VERSION = "modelwright.dev/v1alpha1"
# Small enough that many run side by side on one small node.
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}
FOREST = {"estimator": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_estimators": 20}}


def image(part: str) -> str:
    """An image as `make images` built it: image, servingImage or trainingImage."""
    built = yaml.safe_load((ROOT / ".cluster/images.yaml").read_text())[part]
    return f"{built['repository']}:{built['tag']}"


def training_job(
    name: str = "cancer",
    *,
    data: Object | None = None,
    sklearn: Object | None = None,
    trainer: Object | None = None,
    **spec: Any,
) -> Object:
    """A TrainingJob: a forest on breast_cancer if no data is given. There is nothing to learn in made-up rows, so the
    default gates do not hold them up."""
    given = {"uri": "sklearn://breast_cancer", "target": "target"} if data is None else data
    gates = {} if data is None else {"defaultGates": "Disabled"}
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {
            "data": given,
            "trainer": trainer or {"sklearn": sklearn or FOREST},
            "resources": SMALL,
            **gates,
            **spec,
        },
    }


def own_trainer(*command: str, name: str = "own", **spec: Any) -> Object:
    """A TrainingJob whose trainer is a command in a container of the user's own."""
    trainer = {"image": image("trainingImage"), "command": list(command)}
    return training_job(name, trainer=trainer, **spec)


def model_version(name: str, uri: str, digest: str, model: str = "handmade") -> Object:
    """A ModelVersion written by hand."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelVersion",
        "metadata": {"name": name},
        "spec": {"model": model, "artifact": {"uri": uri, "digest": digest}},
    }


def inference_service(
    name: str = "cancer", *, version: str | None = None, track: str | None = None, **spec: Any
) -> Object:
    """An InferenceService of a version, or of the newest one of a family."""
    model = {"version": version} if version else {"name": track, "track": "Latest"}
    resources = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
    return {
        "apiVersion": API_VERSION,
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"model": model, "resources": resources, **spec},
    }


def config_map(name: str, **files: str) -> Object:
    """A ConfigMap with files; `_` in a name stands for a dot."""
    data = {key.replace("_", "."): text for key, text in files.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, data: Mapping[str, str]) -> Object:
    """A Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(data)}


def claim(name: str = "modelwright-artifacts", mode: str = "ReadWriteOnce", *, seen: bool = False) -> Object:
    """A claim of a user's own. `seen`: it has the label by which the operator sees it."""
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": name, **({"labels": {MANAGED_BY: MANAGER}} if seen else {})}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def script_pod(name: str, script: str, *, claim_name: str, env: dict[str, str] | None = None) -> Object:
    """A pod that runs a Python script with a claim at /volume."""
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "script",
        "image": image("trainingImage"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", script],
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
        "securityContext": restricted,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim_name}}],
        },
    }
