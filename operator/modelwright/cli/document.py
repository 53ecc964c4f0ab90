"""A rollout as one JSON document, for programs: field names as in the object, and the result in one word. Pure."""

from __future__ import annotations

from typing import Any

from modelwright.view.model import InferenceService
from modelwright.view.progress import stage


def document(seen: InferenceService) -> dict[str, Any]:
    """What `-o json` gives; fields without a value are left out."""
    found = stage(seen)
    status = seen.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    rollout = seen.spec.rollout.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "name": seen.name,
        "namespace": seen.metadata.namespace,
        "generation": seen.metadata.generation,
        "result": found.result,
        "message": found.sentence,
        "paused": seen.is_paused,
        "rollout": rollout,
        "status": status,
    }
