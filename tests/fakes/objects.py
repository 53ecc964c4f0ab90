"""A kind with a child, and a planner for it: the least that the engine can be tried on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.cache import View
from modelwright.engine.objects import ROOT_UID, Body, Key, ResourceType, metadata, owner_reference, uid
from modelwright.engine.plan import Apply, Plan

JOBS = ResourceType("modelwright.dev/v1alpha1", "TrainingJob", "trainingjobs")
MAPS = ResourceType("v1", "ConfigMap", "configmaps")
NAMESPACE = "shop"


def job_key(name: str = "churn", namespace: str = NAMESPACE) -> Key:
    return Key(JOBS, namespace, name)


def map_key(name: str = "churn", namespace: str = NAMESPACE) -> Key:
    return Key(MAPS, namespace, name)


def job(target: str = "churned") -> dict[str, Any]:
    """A TrainingJob as a user writes it; the API server of a cluster takes it as well."""
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "spec": {
            "data": {"uri": "sklearn://breast_cancer", "target": target},
            "trainer": {"sklearn": {"estimator": "sklearn.ensemble.RandomForestClassifier"}},
        },
    }


def config_map(key: Key, owner: Body | None = None, **data: str) -> dict[str, Any]:
    """A child as a planner makes it."""
    meta: dict[str, Any] = {"name": key.name, "namespace": key.namespace, "labels": {MANAGED_BY: MANAGER}}
    if owner is not None:
        meta["labels"][ROOT_UID] = uid(owner)
        meta["ownerReferences"] = [owner_reference(owner)]
    return {"apiVersion": MAPS.api_version, "kind": MAPS.kind, "metadata": meta, "data": dict(data)}


def seen(
    key: Key, version: int, uid: str = "a", *, owner: str | None = None, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    """A body as a watch shows it, with nothing in it but its identity."""
    meta: dict[str, Any] = {
        "name": key.name,
        "namespace": key.namespace,
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels or {},
    }
    if owner is not None:
        reference = {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "name": owner, "uid": owner}
        meta["ownerReferences"] = [{**reference, "controller": True}]
    return {"apiVersion": key.resource.api_version, "kind": key.resource.kind, "metadata": meta}


def plan_job(view: View, key: Key, now: datetime) -> Plan:
    """A job has a map of its name that holds its target, and says so."""
    body = view.get(key)
    if body is None:
        return Plan()
    child = map_key(key.name, key.namespace)
    held = view.get(child)
    condition = {
        "type": "Ready",
        "status": "False" if held is None else "True",
        "observedGeneration": metadata(body)["generation"],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "NoMap" if held is None else "HasMap",
        "message": "",
    }
    return Plan(
        status={"observedGeneration": metadata(body)["generation"], "conditions": [condition]},
        effects=(Apply(child, config_map(child, body, target=body["spec"]["data"]["target"])),),
    )
