"""Which revision the spec asks for, given the ModelVersions there are. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from modelwright.api.base import Artifact, ResourceRequirements
from modelwright.api.inferenceservice import Revision
from modelwright.common.resources import name
from modelwright.common.settings import Settings
from modelwright.engine.objects import Body, created, deleting
from modelwright.inferenceservice.observed import Observed

HASH_LENGTH = 10


@dataclass(frozen=True)
class Unresolved:
    """Why there is no revision to serve yet."""

    reason: str
    message: str


def target(observed: Observed, settings: Settings) -> Revision | Unresolved:
    """The revision that the spec asks for now."""
    wanted = observed.spec.model
    if wanted.version is not None:
        return _named(observed, wanted.version, settings)
    ready = [version for version in observed.versions if _ready(version) and not deleting(version)]
    if ready:
        return revision(max(ready, key=_age), observed.spec.resources, settings)
    if observed.versions:
        return Unresolved("ModelNotReady", f"no ModelVersion of the model {wanted.name} is Ready")
    return Unresolved("ModelNotFound", f"there is no ModelVersion of the model {wanted.name}")


def _named(observed: Observed, wanted: str, settings: Settings) -> Revision | Unresolved:
    if not observed.versions:
        return Unresolved("ModelNotFound", f"there is no ModelVersion {wanted}")
    (version,) = observed.versions
    if not _ready(version):
        return Unresolved("ModelNotReady", f"ModelVersion {wanted} is not Ready{_why(version)}")
    return revision(version, observed.spec.resources, settings)


def revision(version: Body, resources: ResourceRequirements | None, settings: Settings) -> Revision:
    """The revision that serves a version in this shape of pod. Its name is a hash of both."""
    chosen = resources or ResourceRequirements.model_validate(settings.serving_resources)
    shape: dict[str, Any] = {
        "digest": version["spec"]["artifact"]["digest"],
        "version": name(version),
        "image": settings.serving_image,
        "resources": chosen.model_dump(mode="json", exclude_none=True),
    }
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()
    return Revision(
        revision=digest[:HASH_LENGTH],
        version=name(version),
        artifact=Artifact.model_validate(version["spec"]["artifact"]),
        image=settings.serving_image,
        resources=chosen,
    )


def _condition(version: Body, kind: str) -> dict[str, Any] | None:
    found = (version.get("status") or {}).get("conditions") or ()
    return next((condition for condition in found if condition["type"] == kind), None)


def _ready(version: Body) -> bool:
    ready = _condition(version, "Ready")
    return ready is not None and ready["status"] == "True"


def _why(version: Body) -> str:
    ready = _condition(version, "Ready")
    return f": {ready['reason']}" if ready is not None else ""


def _age(version: Body) -> tuple[str, int, str]:
    """Orders versions by when they were made; runs of one second by their number."""
    run = int((version["spec"].get("lineage") or {}).get("run") or 0)
    return created(version), run, name(version)
