"""Builds the JSON document of a rollout, for programs. Fields have the names of the object's fields. Pure."""

from __future__ import annotations

from typing import Any

from modelwright.view.measured import Offline
from modelwright.view.model import InferenceService
from modelwright.view.progress import stage


def document(service: InferenceService, metrics: Offline) -> dict[str, Any]:
    """Returns the document of `-o json`. Fields without a value are left out. `metrics`: those of the versions."""
    current = stage(service)
    status = service.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    rollout = service.spec.rollout.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "name": service.name,
        "namespace": service.metadata.namespace,
        "generation": service.metadata.generation,
        "result": current.result,
        "message": current.sentence,
        "paused": service.is_paused,
        "metrics": {
            version: [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in found]
            for version, found in metrics.items()
        },
        "rollout": rollout,
        "status": status,
    }
