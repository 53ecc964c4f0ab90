"""Moves an InferenceService from its stable revision to the revision in the spec. Pure.

The stable revision has the traffic. A canary starts beside it and takes over when it is ready: at once, or step by step
while its analysis passes. It is given up when it cannot work, takes too long or fails its analysis; the stable revision
serves on meanwhile. After a promotion the previous revision is retired: it runs on for a while, to serve connections
that are still open, and so that a rollback only has to switch the Service (`promotion`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from modelwright.api import requests
from modelwright.api.inferenceservice import CanaryRevision, Rejection, Revision, StableRevision
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice import gateway
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision import image
from modelwright.inferenceservice.revision.revisions import Revisions, shape
from modelwright.inferenceservice.revision.target import Unresolved, withheld
from modelwright.inferenceservice.rollout import decision_log, promotion, rejections, share, standin, steps
from modelwright.inferenceservice.rollout.readiness import (
    explained,
    has_ready_pods,
    hopeless,
    is_complete,
    overdue,
)
from modelwright.inferenceservice.rollout.restarts import own_restarts
from modelwright.workload.podstatus import Problem


def advance(observed: Observed, target: Revision | Unresolved, now: datetime) -> Revisions:
    """Returns the revisions after this reconcile: moved by a pending request, else by time and the pods' state."""
    before = observed.status
    revisions = Revisions(
        stable=promotion.still_baking(before.stable, now),
        canary=_at_zero(before.canary, before.stable, observed),
        retired=promotion.still_retired(before.retired, now),
        rejected=rejections.in_force(before.rejected or (), observed.spec.model.version, target),
    )
    moved = _recorded(_next(revisions, observed, target, now), revisions.canary, observed, now)
    moved = promotion.counting_restarts(before, moved, observed)
    return replace(moved, rejected=rejections.lifted(moved.rejected, moved.stable))


def _recorded(
    moved: Revisions, canary: CanaryRevision | None, observed: Observed, now: datetime
) -> Revisions:
    """Records the rollback of a canary that ends because its version is no longer Ready: a person rejected it.

    `canary`: the one before. It has ended already: such a version is no target.
    """
    if canary is None or canary.state == "Failed" or moved.decision is not None:
        return moved
    goes_on = {revision.revision for revision in (moved.stable, moved.canary) if revision is not None}
    lost = withheld(observed, canary.version)
    if lost is None or canary.revision in goes_on:
        return moved
    decision = decision_log.other(canary.revision, canary.step, "Rollback", lost.reason, now)
    return replace(moved, decision=decision)


def _next(
    revisions: Revisions, observed: Observed, target: Revision | Unresolved, now: datetime
) -> Revisions:
    """Handles the pending request, if there is one. A request that is refused does not hold up the rollout."""
    before = observed.status
    last = () if before.last_handled_request is None else (before.last_handled_request,)
    request = requests.pending(observed.body, {*last, *(before.handled_requests or ())})
    if request is None:
        return _moved(revisions, observed, target, now)
    if isinstance(request, requests.Refused):
        return replace(
            _moved(revisions, observed, target, now), handled=request.token, refused=request.message
        )
    outcome = _requested(request, revisions, observed, target, now)
    if outcome is None:  # the request stays pending
        return _moved(revisions, observed, target, now)
    if isinstance(outcome, str):
        by = f" by {request.requested_by}" if request.requested_by else ""
        moved = _moved(revisions, observed, target, now)
        return replace(moved, handled=request.token, refused=f"{request.action} was asked for{by}: {outcome}")
    return replace(outcome, handled=request.token)


def _requested(
    request: requests.Request,
    revisions: Revisions,
    observed: Observed,
    target: Revision | Unresolved,
    now: datetime,
) -> Revisions | str | None:
    """Returns the revisions after a request, or why it is refused. None: keep the request pending."""
    canary = revisions.canary
    if request.action == "undo":
        return promotion.undone(request, revisions, observed, target, now)
    if request.action == "retry":
        return _retried(request, revisions, observed, now)
    if canary is None or canary.revision != request.revision:
        return f"revision {request.revision} is not the canary"
    return _about_canary(canary, request, revisions, observed, now)


def _retried(
    request: requests.Request, revisions: Revisions, observed: Observed, now: datetime
) -> Revisions | str | None:
    """Retry: starts a failed canary again, or lifts the rejection of the revision."""
    canary, decision = revisions.canary, decision_log.requested(request, None, "Retry", now)
    is_canary = canary is not None and canary.revision == request.revision
    if canary is not None and is_canary and canary.state == "Failed":
        again = _canary(canary, observed, now, tried=True)
        rejected = rejections.lifted(revisions.rejected, canary)
        return replace(revisions, canary=again, rejected=rejected, decision=decision)
    rejected = rejections.without(revisions.rejected, request.revision)
    if rejected != revisions.rejected:
        return replace(revisions, rejected=rejected, decision=decision)
    return None if is_canary else f"revision {request.revision} is not the canary, and was not rejected"


def _about_canary(
    canary: CanaryRevision, request: requests.Request, revisions: Revisions, observed: Observed, now: datetime
) -> Revisions | None:
    """The requests about the canary: abort, pause, resume, promote. None: keep the request pending."""
    record = partial(decision_log.requested, request, canary.step)
    if canary.state == "Failed":
        return None
    match request.action:
        case "abort":
            problem = Problem(rejections.ABORTED, requests.requester_phrase(request.requested_by))
            new = rejections.rejection(
                canary, problem.reason, now, serves=revisions.stable, requested_by=request.requested_by
            )
            return replace(
                revisions,
                canary=promotion.failed(canary, problem, observed),
                rejected=rejections.added(revisions.rejected, new),
                decision=record("Rollback", now, rejections.ABORTED),
            )
        case "pause" | "resume":
            paused = request.action == "pause" or None
            return replace(
                revisions,
                canary=canary.model_copy(update={"paused": paused}),
                decision=record("Pause" if paused else "Resume", now),
            )
        case "promote" | "promote-full" if canary.state == "Shifting":
            fully = request.action == "promote-full"
            moved, outcome = steps.promoted(canary, observed.spec, now, fully=fully)
            return replace(revisions, canary=moved, decision=record(outcome, now))
    return None


def _moved(
    revisions: Revisions, observed: Observed, target: Revision | Unresolved, now: datetime
) -> Revisions:
    """Returns the revisions after what time and the state of the pods change."""
    canary = standin.marked(revisions.canary, revisions.stable, observed, now)
    revisions = replace(revisions, canary=canary)
    if canary is not None and not _is(canary, target) and standin.answers(canary, observed):
        return _no_longer_named(revisions, canary, target, observed, now)
    if isinstance(target, Unresolved):
        return replace(revisions, canary=None)
    if _is(revisions.stable, target):
        return promotion.baked(replace(revisions, canary=None), observed, now)
    return _approached(revisions, target, observed, now)


def _approached(revisions: Revisions, target: Revision, observed: Observed, now: datetime) -> Revisions:
    """Towards a revision that does not have the traffic yet: blocked by a rejection, a rollback, or a rollout."""
    rejected = rejections.blocking(revisions.rejected, target)
    if rejected is not None:
        return replace(revisions, canary=_given_up(revisions.canary, rejected))
    if promotion.is_way_back(revisions, target, observed):
        return promotion.taken_back(revisions, observed, now)
    return _rolled_out(revisions, target, observed, now)


def _rolled_out(revisions: Revisions, target: Revision, observed: Observed, now: datetime) -> Revisions:
    """Starts a canary of the revision in the spec, moves on one that runs, or retries one that failed."""
    canary = revisions.canary
    if canary is None or _starts(canary, target, observed):
        return replace(revisions, canary=_started(canary, target, observed, now))
    if canary.state != "Failed":
        return _rolled_on(revisions, canary, observed, now)
    if not _is_due(canary, revisions, observed, now):
        return revisions
    again = _started(canary, target, observed, now)
    return replace(revisions, canary=again.model_copy(update={"attempts": canary.attempts}))


def _given_up(canary: CanaryRevision | None, rejected: Rejection) -> CanaryRevision | None:
    """The canary to keep in the status while the revision in the spec is rejected: the failed one that was rejected."""
    if canary is None or canary.state != "Failed" or not rejections.blocks(rejected, canary):
        return None
    return canary


def _no_longer_named(
    revisions: Revisions,
    canary: CanaryRevision,
    target: Revision | Unresolved,
    observed: Observed,
    now: datetime,
) -> Revisions:
    """When the spec no longer names the canary, while the canary answers all requests: it stays until another revision
    can answer."""
    if isinstance(target, Unresolved) or _is(revisions.stable, target):
        return revisions
    return _promoted_stand_in(revisions, canary, observed, now)


def _promoted_stand_in(
    revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime
) -> Revisions:
    """Promotes a canary that stands in for a stable revision which does not come back."""
    reason = standin.STABLE_UNAVAILABLE
    decision = decision_log.other(canary.revision, canary.step, "Promote", reason, now)
    return replace(promotion.promoted(revisions, canary, observed, now), decision=decision)


def _rolled_on(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """Moves a canary on that has not failed: its steps, its promotion, or giving it up."""
    if standin.takes_over(canary, observed, now):
        return _promoted_stand_in(revisions, canary, observed, now)
    if canary.state in steps.SHIFTING and revisions.stable is not None and steps.planned(observed.spec):
        return _at_its_step(revisions, canary, observed, now)
    if revisions.stable is not None and canary.state == "Progressing" and steps.rests(canary):
        return replace(revisions, canary=_resting(revisions.stable, canary, observed, now))
    return _awaited(revisions, canary, observed, now)


def _awaited(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """Begins the steps of a canary whose pods are ready, or promotes it; gives it up if they cannot be, or are late."""
    needed = steps.replicas(canary, observed.spec, beside=revisions.stable is not None)
    if is_complete(observed.deployment(canary.revision), needed) and not _lacks_service(revisions, observed):
        return _ready(revisions, canary, observed, now)
    if _needs_more(canary, needed, observed):
        return replace(revisions, canary=canary.model_copy(update={"waiting_since": to_timestamp(now)}))
    problem = _defect(revisions, canary, observed, now)
    if problem is None:
        return revisions
    return replace(revisions, canary=promotion.given_up(canary, problem, observed, now))


def _at_zero(
    canary: CanaryRevision | None, stable: StableRevision | None, observed: Observed
) -> CanaryRevision | None:
    """The canary, at rest if spec.replicas became 0 while its first pods were awaited. That it lacks none then is no
    proof that it works. One that arrived at 0 was never asked for a pod."""
    if canary is None or stable is None or canary.state != "Progressing" or observed.spec.replicas > 0:
        return canary
    return steps.untried(canary, None) if canary.replicas else canary


def _resting(
    stable: StableRevision, canary: CanaryRevision, observed: Observed, now: datetime
) -> CanaryRevision:
    """A canary whose first pods are awaited: at rest until pods are asked for and the stable revision has some, else it
    might be ready first and answer all requests. Its deadline begins then."""
    waits = observed.spec.replicas == 0 or standin.is_starting(observed, stable)
    return canary if waits else steps.untried(canary, now)


def _needs_more(canary: CanaryRevision, needed: int, observed: Observed) -> bool:
    """True if the canary needs more pods than at the last look, and some of its pods are ready: the deadline for the
    new ones begins now. Without any that is ready, their number is not what it lacks."""
    return (
        canary.replicas is not None and needed > canary.replicas and has_ready_pods(observed, canary.revision)
    )


def _lacks_service(revisions: Revisions, observed: Observed) -> bool:
    """True if a canary that will go through steps has no Service, without which no request can reach it. Another object
    may have the Service's name."""
    takes_steps = revisions.stable is not None and steps.planned(observed.spec) and observed.spec.replicas > 0
    return bool(takes_steps) and observed.canary_service is None


def _defect(
    revisions: Revisions,
    canary: CanaryRevision,
    observed: Observed,
    now: datetime,
    lacking: str | None = None,
) -> Problem | None:
    """Why a canary that lacks ready pods, or its share of the traffic, must be given up; None to keep waiting.

    Either it cannot work, or its deadline is over. The deadline does not apply while no stable pod is ready.
    """
    stable = revisions.stable
    if stable is not None and not standin.is_lost(observed, stable):
        return hopeless(observed, canary.revision) or overdue(observed, canary, lacking, now)
    return None if standin.answers(canary, observed) else hopeless(observed, canary.revision)


def _ready(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """When the canary's first pods are ready: begins its steps, or promotes it if there are none.

    One that arrives while spec.replicas is 0 takes over as well, as nothing serves; a decision records that it was not
    tried.
    """
    planned = steps.planned(observed.spec)
    if revisions.stable is None or not planned or observed.spec.replicas == 0:
        taken = promotion.promoted(revisions, canary, observed, now)
        if revisions.stable is None or observed.spec.replicas > 0 or canary.state != "Progressing":
            return taken
        reason = steps.SCALED_TO_ZERO
        return replace(taken, decision=decision_log.other(canary.revision, None, "Promote", reason, now))
    update = {
        "state": "Shifting",
        "step": 0,
        "weight": planned[0].weight,
        "waiting_since": None,
        **steps.begun(canary, now),
    }
    return replace(revisions, canary=canary.model_copy(update=update))


def _at_its_step(
    revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime
) -> Revisions:
    """Moves a canary that is at a step, or past all of them. At a step it rests while no pod is asked for."""
    if observed.spec.replicas == 0 and canary.state == "Shifting":
        return replace(revisions, canary=steps.at_rest(canary))
    return _shifted(revisions, canary, observed, now)


def _shifted(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """Moves a canary that has a share of the traffic: to the next step, back, or not at all."""
    lacking = share.missing(observed, revisions.stable, canary)
    move = _judged(revisions, canary, observed, now, has_share=lacking is None)
    decision = None if move.decision is None else decision_log.measured(canary, move.decision, now)
    if move.problem is not None:
        problem = explained(observed, canary.revision, move.problem)
        # Without evidence against the model other services may still try it.
        quarantine = move.decision is not None and move.decision.blames_model
        new = rejections.rejection(
            canary, problem.reason, now, serves=revisions.stable, quarantine=quarantine
        )
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
    begins = decision is not None or _needs_more(canary, needed, observed)
    since = to_timestamp(now) if begins else canary.waiting_since or to_timestamp(now)
    # Without a stable pod the deadline does not apply, and begins when there is one again.
    waits = not standin.is_lost(observed, revisions.stable)
    waiting = moved.model_copy(update={"waiting_since": since if waits else None})
    if decision is None and (defect := _defect(revisions, waiting, observed, now, lacking)):
        lost = decision_log.other(canary.revision, canary.step, "Rollback", defect.reason, now)
        return replace(revisions, canary=promotion.given_up(canary, defect, observed, now), decision=lost)
    return replace(revisions, canary=waiting, decision=decision)


def _judged(
    revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime, *, has_share: bool
) -> steps.Move:
    """What follows from the analysis; nothing while no stable pod is ready to compare with, or to go back to, nor while
    the canary rests."""
    if standin.is_lost(observed, revisions.stable) or steps.rests(canary):
        return steps.Move()
    since, before = canary.step_since or canary.since, canary.restarts or ()
    restarts = own_restarts(observed.pods_of(canary.revision), since, before)
    spec = image.eased(gateway.paced(observed), revisions.stable, canary, observed.measured)
    return steps.move(canary, spec, observed.measured, restarts, now, has_share=has_share)


def _is(revision: Revision | None, target: Revision | Unresolved) -> bool:
    """True if this is the revision in the spec."""
    return revision is not None and isinstance(target, Revision) and revision.revision == target.revision


def _starts(canary: CanaryRevision | None, target: Revision, observed: Observed) -> bool:
    """True if a new canary starts: there is none, it is of another revision, or it failed under another spec."""
    if canary is None or not _is(canary, target):
        return True
    return canary.state == "Failed" and not observed.is_of_this_spec(canary)


def _is_due(canary: CanaryRevision, revisions: Revisions, observed: Observed, now: datetime) -> bool:
    """True if a failed canary is retried now: at its time, or at once if it has ready pods and the stable revision has
    none."""
    if canary.retry_at is None:
        return False
    alone = standin.is_lost(observed, revisions.stable) and has_ready_pods(observed, canary.revision)
    return alone or now >= from_timestamp(canary.retry_at)


def _started(
    before: CanaryRevision | None, target: Revision, observed: Observed, now: datetime
) -> CanaryRevision:
    """A canary at its start. If the same revision was given up before because of the cluster, the rollout goes on: its
    measurements are counted on, so that no try has the budget of false alarms again."""
    if before is None or not _is(before, target):
        return _canary(target, observed, now)
    canary = _canary(target, observed, now, tried=True)
    return canary.model_copy(update={"measurement": before.measurement})


def _canary(target: Revision, observed: Observed, now: datetime, *, tried: bool = False) -> CanaryRevision:
    """A canary at the start of a new rollout. One that was given up before rests while spec.replicas is 0."""
    canary = CanaryRevision(
        **shape(target), state="Progressing", since=to_timestamp(now), generation=observed.generation
    )
    return steps.untried(canary, None) if tried and observed.spec.replicas == 0 else canary
