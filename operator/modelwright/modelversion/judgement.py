"""Whether a sound model file may be served: what its gates found, and what people say of it. Pure.

A rejection wins. Then the gates count, or an approval that overrides them; then how many people have approved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelwright.api.gates import ApprovalStatus
from modelwright.api.rundocument import terms_hash
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
    TERMS_CHANGED,
    standing,
)
from modelwright.engine.objects import Body, created, name
from modelwright.modelversion.approvals import (
    Approvals,
    approval_text,
    approvals_of_sibling,
    awaited,
    warning,
)
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
    obstacle = _obstacle(observed, facts, gates, approvals)
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


def _obstacle(
    observed: Observed, facts: Facts, gates: Sequence[Judged], approvals: Approvals
) -> Obstacle | None:
    """What is in the way: other gates than its run wrote, its own that have not passed, or another version of the
    file."""
    if (changed := _of_terms(observed)) is not None:
        return changed
    if unfulfilled := open_gates(gates):
        return _of_gates(observed, unfulfilled)
    return _of_siblings(observed, facts, gates, approvals)


def _of_terms(observed: Observed) -> Obstacle | None:
    """The terms that the run has written, if the spec has others: a version may have been deleted, and written again
    under its name. The run of an earlier release does not know them."""
    run = observed.run
    if run is None or run.get("digest") != observed.artifact["digest"] or "termsHash" not in run:
        return None
    if run["termsHash"] == terms_hash(observed.spec):
        return None
    job = observed.spec["lineage"]["trainingJob"]
    message = f"run {run['number']} of TrainingJob {job} made this version with other gates or approvals"
    return Obstacle(TERMS_CHANGED, message, ", or delete it and write it again with those of the run")


def _of_gates(observed: Observed, unfulfilled: Sequence[Judged]) -> Obstacle:
    job, remedy = (observed.spec.get("lineage") or {}).get("trainingJob"), ""
    if job and all(each.status.name in DEFAULTS for each in unfulfilled):
        remedy = f", or defaultGates: Disabled in TrainingJob {job} for its next runs"
    if unfulfilled[0].status.verdict == "Fail":
        return Obstacle(GATE_FAILED, stands(unfulfilled), remedy)
    rejects = any(each.status.on_inconclusive == "Reject" for each in unfulfilled)
    return Obstacle(GATE_INCONCLUSIVE, stands(unfulfilled), remedy, waits=not rejects)


def _of_siblings(
    observed: Observed, facts: Facts, gates: Sequence[Judged], approvals: Approvals
) -> Obstacle | None:
    """The gates and the approvals of an older version of the same file. Else one would write the file a second time,
    without them.

    A younger version does not count, so what is Ready stays so. Nor does one of the same TrainingJob, if its run has
    made this one too: it has the gates and approvals that the TrainingJob asks for now.
    """
    has_evidence = any(_is_evidence(each) for each in gates)

    def lack(sibling: Body) -> Obstacle | None:
        if created(sibling) > created(observed.body):
            return None
        if facts.by_run and _training_job(sibling) == _training_job(observed.body):
            return None
        theirs = approvals_of_sibling(sibling, observed.approving)
        return _lack_of(sibling, theirs, approvals, has_evidence=has_evidence)

    return next((found for _, found in read_each(observed.siblings, lack) if found is not None), None)


def _lack_of(sibling: Body, theirs: Approvals, own: Approvals, *, has_evidence: bool) -> Obstacle | None:
    """What keeps another version of the same file from being Ready; None if nothing does, or the file is no model.

    `theirs`: what is said of it. `own`: what is said of this version, which is the same file, so people need not say it
    twice. `has_evidence`: True if the file has passed gates in this version. That takes the place of gates, not of
    people.
    """
    found = facts_in_status(sibling.get("status") or {}, sibling["spec"])
    if found is not None and not found.servable:
        return None
    same = f"ModelVersion {name(sibling)} is the same file, and there"
    if theirs.override is None and not has_evidence:
        known = found.details.get("gates") or () if found is not None else ()
        by_run = found is not None and found.by_run
        if unfulfilled := open_gates(judged_in_status(sibling["spec"], known, by_run=by_run)):
            remedy = ", or evaluate and gates in another ModelVersion"
            return Obstacle(SAME_FILE, f"{same} {stands(unfulfilled)}", remedy)
    if theirs.override is None and standing(sibling).reason == TERMS_CHANGED:
        return Obstacle(SAME_FILE, f"{same} the gates or approvals are not those of its run")
    counting = theirs.joined(own)
    if not counting.is_enough:
        count = f"{same} are {counting.count} of {counting.required} approvals"
        return Obstacle(SAME_FILE, count, f", or modelwright approve {name(sibling)}")
    return None


def _training_job(version: Body) -> object:
    """The TrainingJob that made a version; None if none did."""
    return (version["spec"].get("lineage") or {}).get("trainingJob")


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
