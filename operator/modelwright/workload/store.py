"""Where artifacts are kept on volumes: the PersistentVolumeClaim in a uri, its mount, and the default claim."""

from __future__ import annotations

from typing import Any

from modelwright.common.resources import CLAIMS
from modelwright.common.settings import DEFAULT_CLAIM, ClaimSettings, Settings
from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.objects import Key
from modelwright.engine.plan import Create
from modelwright.workload.podspec import Parts, claim_volume, mount

VOLUME = "artifacts"


def claim_of(uri: str) -> str | None:
    """The name of the claim in a `pvc://CLAIM/PATH` uri; None of a store outside the namespace."""
    return uri.removeprefix("pvc://").split("/", 1)[0] if uri.startswith("pvc://") else None


def place_of(uri: str) -> str:
    """The claim, bucket, or server in a uri, with its scheme."""
    return "/".join(uri.split("/", 3)[:3])


def artifacts(uri: str, *, read_only: bool) -> Parts:
    """The claim that artifacts are on and where a step finds it; nothing for a store outside the namespace."""
    claim = claim_of(uri)
    if claim is None:
        return Parts()
    volume = claim_volume(VOLUME, claim, read_only=read_only)
    return Parts((volume,), (mount(VOLUME, "/artifacts", read_only=read_only),))


def store_uri(settings: Settings, model: str, chosen: str | None) -> str:
    """The folder for a model's artifacts: the one in the spec, else one folder per model in the default store."""
    return chosen or f"{settings.artifacts_uri or f'pvc://{DEFAULT_CLAIM}'}/{model}"


def default_claim(settings: ClaimSettings, namespace: str) -> Create:
    """Creates the default claim. It has no owner, because it holds the models and outlives every object."""
    spec: dict[str, Any] = {
        "accessModes": [settings.access_mode],
        "resources": {"requests": {"storage": settings.size}},
    }
    if settings.storage_class is not None:
        spec["storageClassName"] = settings.storage_class
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": DEFAULT_CLAIM, "namespace": namespace, "labels": {MANAGED_BY: MANAGER}},
        "spec": spec,
    }
    return Create(Key(CLAIMS, namespace, DEFAULT_CLAIM), body, shared=True)
