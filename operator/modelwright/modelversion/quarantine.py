"""Quarantine: a model file that an InferenceService has rolled back is marked, so that no other one follows it blindly.

It holds for every ModelVersion of the namespace with these bytes, as long as a service says so. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from modelwright.common import conditions
from modelwright.common.conditions import Aspect, standing
from modelwright.common.resources import INFERENCE_SERVICES, name
from modelwright.engine.cache import View
from modelwright.engine.objects import Body
from modelwright.engine.plan import Event

QUARANTINED = "Quarantined"


def is_quarantined(version: Body) -> bool:
    """Whether it is marked."""
    return standing(version, QUARANTINED) is not None


def quarantine(view: View, namespace: str, digest: str) -> Aspect | None:
    """What the services of the namespace have against a model file; None if nothing."""
    found = sorted(_rejections(view, namespace, digest))
    if not found:
        return None
    service, reason = found[0]
    message = f"InferenceService {service} has rolled it back ({reason}); services that track the family pass it over"
    return Aspect(QUARANTINED, True, reason, message)


def marked(
    version: Body, aspect: Aspect | None, now: datetime
) -> tuple[Mapping[str, Any] | None, tuple[Event, ...]]:
    """The status of a version whose verdict is in, with the mark as it has to be, and what is to be told."""
    before, mark = version.get("status") or {}, standing(version, QUARANTINED)
    wanted = None if aspect is None else (aspect.reason, aspect.message)
    if wanted == (None if mark is None else (mark["reason"], mark["message"])):
        return None, ()
    kept = [c for c in before.get("conditions") or () if c["type"] != QUARANTINED]
    generation = int(before.get("observedGeneration", 0))
    added = [] if aspect is None else [conditions.condition(aspect, mark, generation, now)]
    event = (
        Event("Normal", "QuarantineLifted", "no InferenceService has anything against it any more")
        if aspect is None
        else Event("Warning", QUARANTINED, aspect.message)
    )
    return {**before, "conditions": [*kept, *added]}, (event,)


def _rejections(view: View, namespace: str, digest: str) -> Iterator[tuple[str, str]]:
    for service in view.all(INFERENCE_SERVICES, namespace):
        for found in (service.get("status") or {}).get("rejected") or ():
            if found["digest"] == digest:
                yield name(service), found["reason"]
