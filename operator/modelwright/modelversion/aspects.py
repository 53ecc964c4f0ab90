"""The conditions of a ModelVersion that can change: computed at every reconcile. Pure.

They follow from its facts and from the InferenceServices of the namespace. Each condition has one
function; a new one (a gate, an approval) is added to `aspects`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelwright.common.conditions import Aspect
from modelwright.common.indexes import served_versions
from modelwright.common.reading import read_each
from modelwright.common.report import NOT_COMPARED
from modelwright.common.standing import GATE_FAILED, GATE_INCONCLUSIVE
from modelwright.engine.objects import Body, name, status_of
from modelwright.engine.plan import Event
from modelwright.modelversion.approvals import Approvals, approved
from modelwright.modelversion.facts import Facts
from modelwright.modelversion.gates import Judged, open_gates, passed, stands
from modelwright.modelversion.observed import Observed

VALIDATED = "Validated"
QUARANTINED = "Quarantined"
IN_USE = "InUse"
# The message of InUse lists at most this many names.
NAMED = 5


def aspects(
    observed: Observed, facts: Facts | None, gates: Sequence[Judged], approvals: Approvals
) -> tuple[Aspect, ...]:
    """Returns all conditions besides Ready, Reconciling and Stalled."""
    conditions = (
        facts.verified if facts is not None else None,
        facts.signed if facts is not None else None,
        validated(facts, gates) if facts is not None else None,
        approved(observed.name, approvals),
        quarantined(observed.artifact["digest"], observed.services),
        in_use(observed.name, observed.services),
    )
    return tuple(aspect for aspect in conditions if aspect is not None)


def validated(facts: Facts, gates: Sequence[Judged]) -> Aspect:
    """Returns the condition Validated: whether the gates pass, and the model's answers match the predictions of the
    trainer's library.

    Unknown where a gate is inconclusive, and where the answers were not compared."""
    if not facts.servable:
        return Aspect(VALIDATED, False, facts.verified.reason, facts.verified.message)
    if unfulfilled := open_gates(gates):
        failed = unfulfilled[0].status.verdict == "Fail"
        reason = GATE_FAILED if failed else GATE_INCONCLUSIVE
        return Aspect(VALIDATED, False if failed else None, reason, stands(unfulfilled))
    verdict = (facts.details.get("parity") or {}).get("verdict")
    if verdict == "Pass":
        message = "ONNX Runtime answers what the trainer's library predicts"
        if gates:
            return Aspect(VALIDATED, True, "GatesPassed", f"{passed(gates)}; {message}")
        return Aspect(VALIDATED, True, "ParityPassed", message)
    message = NOT_COMPARED
    if verdict is None:
        message = (
            "no run vouches for the file here, so its answers were not compared with the trainer's library"
        )
    return Aspect(VALIDATED, None, "ParitySkipped", f"{passed(gates)}; {message}" if gates else message)


def quarantined(digest: str, services: Iterable[Body]) -> Aspect | None:
    """Returns the condition Quarantined if an InferenceService has rolled back a file with this digest, else None.

    Services that track the model skip a quarantined version.
    """

    def reasons(service: Body) -> list[str]:
        return [
            str(rejection.get("reason") or "RolledBack")
            for rejection in status_of(service).get("rejected") or ()
            # A rollout that a user aborted or undid does not count against the model.
            if rejection.get("digest") == digest and rejection.get("quarantine", True)
        ]

    rejections = sorted(
        (name(service), reason) for service, rejected in read_each(services, reasons) for reason in rejected
    )
    if not rejections:
        return None
    service, reason = rejections[0]
    message = f"InferenceService {service} has rolled it back ({reason}); services that track the family pass it over"
    return Aspect(QUARANTINED, True, reason, message)


def in_use(version: str, services: Iterable[Body]) -> Aspect | None:
    """Returns the condition InUse, which names the InferenceServices that serve the version; None without any.

    While they do, the chart's admission policy forbids its deletion.
    """
    uses = read_each(services, lambda service: version in served_versions(service))
    names = sorted(name(service) for service, serves in uses if serves)
    if not names:
        return None
    if len(names) == 1:
        return Aspect(IN_USE, True, "Served", f"InferenceService {names[0]} serves it")
    others = " and others" if len(names) > NAMED else ""
    return Aspect(IN_USE, True, "Served", f"InferenceServices {', '.join(names[:NAMED])}{others} serve it")


def quarantine_events(before: Sequence[Mapping[str, Any]], now: Sequence[Aspect]) -> tuple[Event, ...]:
    """Returns the event of a quarantine that begins, changes or ends."""
    known = next((c for c in before if c["type"] == QUARANTINED), None)
    quarantine = next((aspect for aspect in now if aspect.type == QUARANTINED), None)
    if quarantine is None:
        ended = Event("Normal", "QuarantineLifted", "no InferenceService rejects it any more")
        return () if known is None else (ended,)
    if known is not None and (known["reason"], known["message"]) == (quarantine.reason, quarantine.message):
        return ()
    return (Event("Warning", QUARANTINED, quarantine.message),)
