"""The conditions of a ModelVersion that are computed at every reconcile, from its facts and from what the view shows.

One function per condition: a new one (a gate, an approval) is added to `aspects`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from modelwright.common.conditions import Aspect, standing
from modelwright.common.reading import each
from modelwright.engine.objects import Body, name
from modelwright.engine.plan import Event
from modelwright.modelversion.facts import Facts
from modelwright.modelversion.observed import Observed

VALIDATED = "Validated"
QUARANTINED = "Quarantined"
IN_USE = "InUse"
# As many names as the message of InUse holds.
NAMED = 5


def aspects(observed: Observed, facts: Facts | None) -> tuple[Aspect, ...]:
    """All conditions besides Ready, Reconciling and Stalled, as they stand now."""
    conditions = (
        facts.verified if facts is not None else None,
        validated(facts) if facts is not None else None,
        quarantined(observed.artifact["digest"], observed.services),
        in_use(observed.name, observed.services),
    )
    return tuple(aspect for aspect in conditions if aspect is not None)


def validated(facts: Facts) -> Aspect:
    """Whether the model answers what the trainer's own library predicts."""
    if not facts.good:
        return Aspect(VALIDATED, False, facts.verified.reason, facts.verified.message)
    verdict = (facts.details.get("parity") or {}).get("verdict")
    if verdict == "Pass":
        message = "ONNX Runtime answers what the trainer's library predicts"
        return Aspect(VALIDATED, True, "ParityPassed", message)
    message = (
        "no run vouches for the file here, so its answers were not compared with the trainer's library"
        if verdict is None
        else "the trainer left no predictions to compare with"
    )
    return Aspect(VALIDATED, True, "ParitySkipped", message)


def quarantined(digest: str, services: Iterable[Body]) -> Aspect | None:
    """Whether an InferenceService of the namespace has rolled these bytes back, under whatever name. The services that
    track the family pass the version over as long as one says so."""

    def reasons(service: Body) -> list[str]:
        return [
            str(rejection.get("reason") or "RolledBack")
            for rejection in _status(service).get("rejected") or ()
            # What somebody aborted or undid says nothing about the model to others.
            if rejection.get("digest") == digest and rejection.get("quarantine", True)
        ]

    rejections = sorted(
        (name(service), reason) for service, found in each(services, reasons) for reason in found
    )
    if not rejections:
        return None
    service, reason = rejections[0]
    message = f"InferenceService {service} has rolled it back ({reason}); services that track the family pass it over"
    return Aspect(QUARANTINED, True, reason, message)


def in_use(version: str, services: Iterable[Body]) -> Aspect | None:
    """Which InferenceServices serve it. The chart's admission policy refuses to delete it meanwhile."""
    found = each(services, lambda service: version in served(service))
    names = sorted(name(service) for service, serves in found if serves)
    if not names:
        return None
    if len(names) == 1:
        return Aspect(IN_USE, True, "Served", f"InferenceService {names[0]} serves it")
    others = " and others" if len(names) > NAMED else ""
    return Aspect(IN_USE, True, "Served", f"InferenceServices {', '.join(names[:NAMED])}{others} serve it")


def served(service: Body) -> Iterator[str]:
    """The ModelVersions whose pods an InferenceService keeps. A canary that was given up has none."""
    status = _status(service)
    for part in ("stable", "canary", "retired"):
        revision = status.get(part) or {}
        if "version" in revision and revision.get("state") != "Failed":
            yield str(revision["version"])


def announcements(before: Sequence[Mapping[str, Any]], now: Sequence[Aspect]) -> tuple[Event, ...]:
    """The events that tell of a quarantine, when it begins, changes or ends."""
    known = next((c for c in before if c["type"] == QUARANTINED), None)
    mark = next((aspect for aspect in now if aspect.type == QUARANTINED), None)
    if mark is None:
        ended = Event("Normal", "QuarantineLifted", "no InferenceService rejects it any more")
        return () if known is None else (ended,)
    if known is not None and (known["reason"], known["message"]) == (mark.reason, mark.message):
        return ()
    return (Event("Warning", QUARANTINED, mark.message),)


def is_quarantined(version: Body) -> bool:
    """Whether it is marked."""
    return standing(version, QUARANTINED) is not None


def _status(service: Body) -> Mapping[str, Any]:
    """Another release may have written it: no field of it is relied on."""
    status: Mapping[str, Any] = service.get("status") or {}
    return status
