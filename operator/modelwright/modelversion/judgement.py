"""Whether a sound model file may be served: what its gates found, and what people say of it. Pure.

A rejection wins. Then the gates count, or an approval that overrides them; then how many people have approved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelwright.api.gates import ApprovalStatus
from modelwright.checks.gates import NO_CHAMPION
from modelwright.common import conditions
from modelwright.common.conditions import Summary
from modelwright.common.indexes import CHAMPION, in_role, roles
from modelwright.common.reading import read_each
from modelwright.common.report import with_notes
from modelwright.common.standing import (
    AWAITING_APPROVAL,
    GATE_FAILED,
    GATE_INCONCLUSIVE,
    REJECTED,
    SAME_FILE,
)
from modelwright.engine.objects import Body, created, name
from modelwright.modelversion.approvals import Approvals, approval_text, awaited, has_override, warning
from modelwright.modelversion.facts import Facts, facts_in_status
from modelwright.modelversion.gates import DEFAULTS, Judged, judged_in_status, open_gates, stands
from modelwright.modelversion.observed import Observed

OVERRIDDEN = "Overridden"


@dataclass(frozen=True)
class Obstacle:
    """What keeps a version from being Ready, unless a person overrides it: the reason, how it stands, and what other
    remedy there is. `waits`: True if it may change without a person."""

    reason: str
    stands: str
    remedy: str = ""
    waits: bool = False


def judgement(observed: Observed, facts: Facts, gates: Sequence[Judged], approvals: Approvals) -> Summary:
    """Returns the summary of a version whose file can be served."""
    if approvals.is_rejected:
        return conditions.stalled(REJECTED, "; ".join((*approvals.rejections, *_served_on(observed))))
    obstacle = _obstacle(observed, facts, gates)
    if obstacle is not None and approvals.override is None:
        return _held_back(observed, obstacle)
    if not approvals.is_enough:
        message = "; ".join((awaited(observed.name, approvals), *_served_on(observed)))
        return conditions.reconciling(AWAITING_APPROVAL, message, ready=False)
    if obstacle is not None and approvals.override is not None:
        return _overridden(facts, obstacle, approvals.override)
    allowed = [f"gate {each.phrase} is inconclusive, which is allowed" for each in gates if each.is_allowed]
    verified = facts.verified
    return conditions.done(verified.reason, with_notes(verified.message, facts.details, allowed))


def _obstacle(observed: Observed, facts: Facts, gates: Sequence[Judged]) -> Obstacle | None:
    """The gates that have not passed: its own, or those of another version of the same file."""
    if unfulfilled := open_gates(gates):
        return _of_gates(observed, unfulfilled)
    if facts.by_run or any(_is_evidence(each) for each in gates):
        return None
    return _of_siblings(observed)


def _of_gates(observed: Observed, unfulfilled: Sequence[Judged]) -> Obstacle:
    job, remedy = (observed.spec.get("lineage") or {}).get("trainingJob"), ""
    if job and all(each.status.name in DEFAULTS for each in unfulfilled):
        remedy = f", or defaultGates: Disabled in TrainingJob {job} for its next runs"
    if unfulfilled[0].status.verdict == "Fail":
        return Obstacle(GATE_FAILED, stands(unfulfilled), remedy)
    rejects = any(each.status.on_inconclusive == "Reject" for each in unfulfilled)
    return Obstacle(GATE_INCONCLUSIVE, stands(unfulfilled), remedy, waits=not rejects)


def _of_siblings(observed: Observed) -> Obstacle | None:
    """The gates of an older version of the same file. Else one would write the file a second time, without gates.

    A younger version does not count, so what is Ready stays so.
    """
    for sibling, unfulfilled in read_each(observed.siblings, _open_gates_of):
        if unfulfilled and created(sibling) <= created(observed.body):
            message = f"ModelVersion {name(sibling)} is the same file, and there {stands(unfulfilled)}"
            return Obstacle(SAME_FILE, message, ", or evaluate and gates in another ModelVersion")
    return None


def _open_gates_of(version: Body) -> tuple[Judged, ...]:
    """The gates of another version that have not passed; none if it has been let through, or its file is no model."""
    facts = facts_in_status(version.get("status") or {}, version["spec"])
    if facts is not None and not facts.servable:
        return ()
    if has_override(version["spec"]):
        return ()
    by_run = facts is not None and facts.by_run
    known = facts.details.get("gates") or () if facts is not None else ()
    return open_gates(judged_in_status(version["spec"], known, by_run=by_run))


def _is_evidence(gate: Judged) -> bool:
    """True if something was measured, and it passes."""
    return gate.status.verdict == "Pass" and gate.status.reason != NO_CHAMPION


def _held_back(observed: Observed, obstacle: Obstacle) -> Summary:
    command = (
        f"to let it through: modelwright approve {observed.name} --override --reason ...{obstacle.remedy}"
    )
    message = "; ".join((obstacle.stands, command, *_served_on(observed)))
    if obstacle.waits:
        return conditions.waiting(obstacle.reason, message)
    return conditions.stalled(obstacle.reason, message)


def _overridden(facts: Facts, obstacle: Obstacle, override: ApprovalStatus) -> Summary:
    message = f"{approval_text(override)}: {obstacle.stands}{warning(override)}"
    return conditions.done(OVERRIDDEN, with_notes(message, facts.details), warning=True)


def _served_on(observed: Observed) -> tuple[str, ...]:
    """Says that a version which is not Ready any more keeps the traffic that it has."""
    stable = read_each(observed.services, lambda service: in_role(CHAMPION, observed.name) in roles(service))
    names = sorted(name(service) for service, serves in stable if serves)
    if not names:
        return ()
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (f"InferenceService {names[0]}{more} serves it on until another version takes over",)
