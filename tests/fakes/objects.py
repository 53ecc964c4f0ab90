"""A kind of its own with a child, and a planner for it: the least that the engine can be tried on.

No operator but that of a test knows the kind, so tests run undisturbed beside the real one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.cache import View
from modelwright.engine.objects import ROOT_UID, Body, Key, ResourceType, metadata, owner_reference, uid
from modelwright.engine.plan import Apply, Plan

TOYS = ResourceType("engine.modelwright.dev/v1", "Toy", "toys")
MAPS = ResourceType("v1", "ConfigMap", "configmaps")
NAMESPACE = "shop"


def toy_key(name: str = "churn", namespace: str = NAMESPACE) -> Key:
    return Key(TOYS, namespace, name)


def map_key(name: str = "churn", namespace: str = NAMESPACE) -> Key:
    return Key(MAPS, namespace, name)


def toy(colour: str = "red") -> dict[str, Any]:
    """A toy as a user writes it."""
    return {"apiVersion": TOYS.api_version, "kind": TOYS.kind, "spec": {"colour": colour}}


def toy_definition(group: str = TOYS.group) -> dict[str, Any]:
    """What makes a real API server know toys, or the toys of another group."""
    text = {"type": "string", "maxLength": 256}
    count = {"type": "integer"}
    names = ("type", "status", "lastTransitionTime", "reason", "message")
    condition: dict[str, Any] = {
        "type": "object",
        "required": ["type"],
        "properties": dict.fromkeys(names, text),
    }
    condition["properties"]["observedGeneration"] = count
    conditions = {
        "type": "array",
        "maxItems": 16,
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    rule = {"rule": "self.colour != 'beige'", "message": "choose another colour than beige"}
    spec = {"type": "object", "properties": {"colour": text}, "x-kubernetes-validations": [rule]}
    status = {"type": "object", "properties": {"observedGeneration": count, "conditions": conditions}}
    version = {
        "name": TOYS.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{TOYS.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": TOYS.kind, "plural": TOYS.plural, "singular": "toy", "listKind": "ToyList"},
            "versions": [version],
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
        reference = {"apiVersion": TOYS.api_version, "kind": TOYS.kind, "name": owner, "uid": owner}
        meta["ownerReferences"] = [{**reference, "controller": True}]
    return {"apiVersion": key.resource.api_version, "kind": key.resource.kind, "metadata": meta}


def plan_toy(view: View, key: Key, now: datetime) -> Plan:
    """A toy has a map of its name that holds its colour, and says so."""
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
        effects=(Apply(child, config_map(child, body, colour=body["spec"]["colour"])),),
    )
