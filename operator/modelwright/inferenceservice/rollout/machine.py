"""Moves an InferenceService from its stable revision to the one that is asked for. Pure.

The stable revision has the traffic. A canary starts beside it and takes over when it is ready: at once, or step by
step while what is measured speaks for it. It is given up when it cannot work, takes too long or fails its analysis;
the stable one never waits for it. The one before is retired: it runs on for a while, so that connections which still
know it are served, and so that going back to it is one switch (`switch`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from modelwright.api import requests
from modelwright.api.inferenceservice import CanaryRevision, Rejection, Revision
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice import gateway
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision import image
from modelwright.inferenceservice.revision.revisions import Revisions, shape
from modelwright.inferenceservice.revision.target import Unresolved
from modelwright.inferenceservice.rollout import decision_log, promotion, rejections, share, standin, steps
from modelwright.inferenceservice.rollout.readiness import (
    explained,
    has_ready_pods,
    hopeless,
    is_complete,
    overdue,
)
from modelwright.workload.podstatus import Problem


def advance(observed: Observed, target: Revision | Unresolved, now: datetime) -> Revisions:
    """The parts, one step on: by what somebody asks for, else by what time and pods bring."""
    before = observed.status
    revisions = Revisions(
        stable=promotion.still_baking(before.stable, now),
        canary=before.canary,
        retired=promotion.still_retired(before.retired, now),
        rejected=rejections.standing(before.rejected or (), observed.spec.model.version, target),
    )
    moved = _asked_or_moved(revisions, observed, target, now)
    return replace(moved, rejected=rejections.lifted(moved.rejected, moved.stable))


def _asked_or_moved(
    revisions: Revisions, observed: Observed, target: Revision | Unresolved, now: datetime
) -> Revisions:
    before = observed.status
    last = () if before.last_handled_request is None else (before.last_handled_request,)
    asked = requests.pending(observed.body, {*last, *(before.handled_requests or ())})
    if asked is None:
        return _moved(revisions, observed, target, now)
    if isinstance(asked, requests.Refused):
        return replace(_moved(revisions, observed, target, now), handled=asked.token, refused=asked.message)
    done = _asked(asked, revisions, observed, target, now)
    if done is None:  # in its time
        return _moved(revisions, observed, target, now)
    if isinstance(done, str):
        by = f" by {asked.requested_by}" if asked.requested_by else ""
        moved = _moved(revisions, observed, target, now)
        return replace(moved, handled=asked.token, refused=f"{asked.action} was asked for{by}: {done}")
    return replace(done, handled=asked.token)


def _asked(
    asked: requests.Request,
    revisions: Revisions,
    observed: Observed,
    target: Revision | Unresolved,
    now: datetime,
) -> Revisions | str | None:
    """The parts after what was asked for, or why it cannot be; None as long as it makes no sense yet."""
    canary = revisions.canary
    if asked.action == "undo":
        return promotion.undone(asked, revisions, observed, target, now)
    if asked.action == "retry":
        return _retried(asked, revisions, observed, now)
    if canary is None or canary.revision != asked.revision:
        return f"revision {asked.revision} is not the canary"
    return _asked_of(canary, asked, revisions, observed, now)


def _retried(
    asked: requests.Request, revisions: Revisions, observed: Observed, now: datetime
) -> Revisions | str | None:
    """The parts after somebody wants another try of what was rejected or given up."""
    canary, decision = revisions.canary, decision_log.requested(asked, None, "Retry", now)
    is_canary = canary is not None and canary.revision == asked.revision
    if canary is not None and is_canary and canary.state == "Failed":
        again = _canary(canary, observed.generation, now)
        rejected = rejections.lifted(revisions.rejected, canary)
        return replace(revisions, canary=again, rejected=rejected, decision=decision)
    rejected = rejections.without(revisions.rejected, asked.revision)
    if rejected != revisions.rejected:
        return replace(revisions, rejected=rejected, decision=decision)
    return None if is_canary else f"revision {asked.revision} is not the canary, and was not rejected"


def _asked_of(
    canary: CanaryRevision, asked: requests.Request, revisions: Revisions, observed: Observed, now: datetime
) -> Revisions | None:
    """The canary after what was asked for."""
    record = partial(decision_log.requested, asked, canary.step)
    if canary.state == "Failed":
        return None
    match asked.action:
        case "abort":
            problem = Problem(rejections.ABORTED, requests.requester_phrase(asked.requested_by))
            new = rejections.rejection(
                canary, problem.reason, now, serves=revisions.stable, requested_by=asked.requested_by
            )
            return replace(
                revisions,
                canary=promotion.failed(canary, problem, observed),
                rejected=rejections.added(revisions.rejected, new),
                decision=record("Rollback", now, rejections.ABORTED),
            )
        case "pause" | "resume":
            paused = asked.action == "pause" or None
            return replace(
                revisions,
                canary=canary.model_copy(update={"paused": paused}),
                decision=record("Pause" if paused else "Resume", now),
            )
        case "promote" | "promote-full" if canary.state == "Shifting":
            fully = asked.action == "promote-full"
            moved, outcome = steps.promoted(canary, observed.spec, now, fully=fully)
            return replace(revisions, canary=moved, decision=record(outcome, now))
    return None


def _moved(
    revisions: Revisions, observed: Observed, target: Revision | Unresolved, now: datetime
) -> Revisions:
    """The parts as time and pods have them."""
    canary = standin.noted(revisions.canary, revisions.stable, observed, now)
    revisions = replace(revisions, canary=canary)
    if canary is not None and not _is(canary, target) and standin.answers(canary, observed):
        return _replaced(revisions, canary, target, observed, now)
    if isinstance(target, Unresolved):
        return replace(revisions, canary=None)
    if _is(revisions.stable, target):
        return promotion.baked(replace(revisions, canary=None), observed, now)
    return _approached(revisions, target, observed, now)


def _approached(revisions: Revisions, target: Revision, observed: Observed, now: datetime) -> Revisions:
    """One step towards a revision that does not have the traffic yet."""
    rejected = rejections.blocking(revisions.rejected, target)
    if rejected is not None:
        return replace(revisions, canary=_given_up(revisions.canary, rejected))
    if promotion.is_way_back(revisions, target, observed):
        return promotion.taken_back(revisions, observed, now)
    return _rolled_out(revisions, target, observed, now)


def _rolled_out(revisions: Revisions, target: Revision, observed: Observed, now: datetime) -> Revisions:
    """The parts where another revision than the stable one is asked for, and has to start."""
    canary = revisions.canary
    if canary is None or _starts(canary, target, observed.generation):
        return replace(revisions, canary=_canary(target, observed.generation, now))
    if canary.state != "Failed":
        return _walked(revisions, canary, observed, now)
    if not _is_due(canary, revisions, observed, now):
        return revisions
    again = _canary(target, observed.generation, now).model_copy(update={"attempts": canary.attempts})
    return replace(revisions, canary=again)


def _given_up(canary: CanaryRevision | None, rejected: Rejection) -> CanaryRevision | None:
    """What is remembered of the canary while it is rejected what the spec asks for: how that one ended."""
    if canary is None or canary.state != "Failed" or not rejections.blocks(rejected, canary):
        return None
    return canary


def _replaced(
    revisions: Revisions,
    canary: CanaryRevision,
    target: Revision | Unresolved,
    observed: Observed,
    now: datetime,
) -> Revisions:
    """A canary that answers all requests, and that is not asked for any more: they keep somebody who answers."""
    if isinstance(target, Unresolved) or _is(revisions.stable, target):
        return revisions
    return _stood_in(revisions, canary, observed, now)


def _stood_in(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """The canary has taken over for good from a stable revision that does not come back."""
    reason = standin.STABLE_UNAVAILABLE
    decision = decision_log.other(canary.revision, canary.step, "Promote", reason, now)
    return replace(promotion.promoted(revisions, canary, observed, now), decision=decision)


def _walked(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """A canary on its way."""
    if standin.takes_over(canary, observed, now):
        return _stood_in(revisions, canary, observed, now)
    if canary.state in steps.SHIFTING and revisions.stable is not None and steps.planned(observed.spec):
        return _shifted(revisions, canary, observed, now)
    needed = steps.replicas(canary, observed.spec, beside=revisions.stable is not None)
    if is_complete(observed.deployment(canary.revision), needed) and not _lacks_service(revisions, observed):
        return _ready(revisions, canary, observed, now)
    problem = _defect(revisions, canary, observed, now)
    if problem is None:
        return revisions
    return replace(revisions, canary=promotion.given_up(canary, problem, observed, now))


def _lacks_service(revisions: Revisions, observed: Observed) -> bool:
    """Whether nothing could reach a canary that is to take steps: the name of its Service may be taken."""
    takes_steps = revisions.stable is not None and steps.planned(observed.spec) and observed.spec.replicas > 0
    return bool(takes_steps) and observed.canary_service is None


def _defect(
    revisions: Revisions,
    canary: CanaryRevision,
    observed: Observed,
    now: datetime,
    lacking: str | None = None,
) -> Problem | None:
    """Why a canary must be given up that lacks pods, or its share: it says that it cannot work, or its time is over.

    Where nobody else answers it is not given up for the time that it takes.
    """
    stable = revisions.stable
    if stable is not None and not standin.is_lost(observed, stable):
        return hopeless(observed, canary.revision) or overdue(observed, canary, lacking, now)
    return None if standin.answers(canary, observed) else hopeless(observed, canary.revision)


def _ready(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """The pods that the canary begins with are ready: where there is traffic to take over, the steps begin."""
    planned = steps.planned(observed.spec)
    if revisions.stable is None or not planned or observed.spec.replicas == 0:
        return promotion.promoted(revisions, canary, observed, now)
    update = {
        "state": "Shifting",
        "step": 0,
        "weight": planned[0].weight,
        "step_since": to_timestamp(now),
        "waiting_since": None,
    }
    return replace(revisions, canary=canary.model_copy(update=update))


def _shifted(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """A canary that has a share of the traffic: on, back, or as it is."""
    lacking = share.missing(observed, revisions.stable, canary)
    move = _judged(revisions, canary, observed, now, has_share=lacking is None)
    decision = None if move.decision is None else decision_log.measured(canary, move.decision, now)
    if move.problem is not None:
        problem = explained(observed, canary.revision, move.problem)
        # Without a verdict nothing is known against the model.
        found_bad = move.decision is not None and move.decision.verdict.result == "Fail"
        new = rejections.rejection(canary, problem.reason, now, serves=revisions.stable, quarantine=found_bad)
        given_up = promotion.failed(canary, problem, observed)
        rejected = rejections.added(revisions.rejected, new)
        return replace(revisions, canary=given_up, decision=decision, rejected=rejected)
    moved = canary.model_copy(update=dict(move.update))
    needed = steps.replicas(moved, observed.spec, beside=True)
    complete = is_complete(observed.deployment(canary.revision), needed)
    if complete and moved.state == "Completing":
        return replace(promotion.promoted(revisions, moved, observed, now), decision=decision)
    due = steps.enter(moved, observed.spec, now, complete=complete)
    if due or (complete and lacking is None):
        moved = moved.model_copy(update={**due, "waiting_since": None})
        return replace(revisions, canary=moved, decision=decision)
    since = to_timestamp(now) if decision is not None else canary.waiting_since or to_timestamp(now)
    waiting = moved.model_copy(update={"waiting_since": since})
    if decision is None and (defect := _defect(revisions, waiting, observed, now, lacking)):
        lost = decision_log.other(canary.revision, canary.step, "Rollback", defect.reason, now)
        return replace(revisions, canary=promotion.given_up(canary, defect, observed, now), decision=lost)
    return replace(revisions, canary=waiting, decision=decision)


def _judged(
    revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime, *, has_share: bool
) -> steps.Move:
    """What the analysis says. While no pod of the stable revision is ready, there is nothing to go by, or back to."""
    if standin.is_lost(observed, revisions.stable):
        return steps.Move()
    restarts = observed.restarts(canary.revision)
    spec = image.eased(gateway.paced(observed), revisions.stable, canary, observed.measured)
    return steps.move(canary, spec, observed.measured, restarts, now, has_share=has_share)


def _is(part: Revision | None, target: Revision | Unresolved) -> bool:
    return part is not None and isinstance(target, Revision) and part.revision == target.revision


def _starts(canary: CanaryRevision | None, target: Revision, generation: int) -> bool:
    """Whether a canary starts: there is none, it is of another revision, or it failed under another spec."""
    if canary is None or not _is(canary, target):
        return True
    return canary.state == "Failed" and canary.generation != generation


def _is_due(canary: CanaryRevision, revisions: Revisions, observed: Observed, now: datetime) -> bool:
    """Whether a canary that the cluster did not let start is tried again: in its time, and at once when it could
    answer and nobody else does."""
    if canary.retry_at is None:
        return False
    alone = standin.is_lost(observed, revisions.stable) and has_ready_pods(observed, canary.revision)
    return alone or now >= from_timestamp(canary.retry_at)


def _canary(target: Revision, generation: int, now: datetime) -> CanaryRevision:
    return CanaryRevision(
        **shape(target), state="Progressing", since=to_timestamp(now), generation=generation
    )
