"""The conditions of an InferenceService: its summary (Ready, Reconciling, Stalled) and Available. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from modelwright.api.checks import Check, need
from modelwright.api.inferenceservice import CanaryRevision, Rejection, Revision, StableRevision
from modelwright.api.requests import requester_phrase
from modelwright.common import conditions
from modelwright.common.conditions import Aspect, Summary
from modelwright.inferenceservice.analysis import scrape_targets
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.adoption import NOT_DEPLOYED
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.revision.target import Unresolved, passed_over, withheld
from modelwright.inferenceservice.rollout import decision_log, rejections, share, standin
from modelwright.inferenceservice.rollout.readiness import (
    has_ready_pods,
    hindrance,
    serves_fully,
)
from modelwright.inferenceservice.rollout.steps import (
    SHIFTING,
    awaits_approval,
    is_paused,
    planned,
    rests,
)

# The most versions, and checks, that a message names.
MOST_NAMES = 5
DIGEST_MISMATCH = "DigestMismatch"


def summary(observed: Observed, target: Revision | Unresolved, revisions: Revisions) -> Summary:
    """The reason and message of Ready. The planner overrules it when the Gateway or a refused write is in the way."""
    if isinstance(target, Unresolved):
        stable = revisions.stable
        kept = f"; {_recorded(stable)}" if stable and observed.is_deleted(stable.version) else ""
        message = f"{target.message}{kept}"
        if target.expected:
            return conditions.reconciling(target.reason, message, ready=False)
        stand = conditions.stalled if target.hopeless else conditions.waiting
        return stand(target.reason, message)
    canary = revisions.canary
    if canary is not None:
        return _replacing(observed, revisions, canary)
    rejected = rejections.blocking(revisions.rejected, target)
    if rejected is not None and rejected.reason != rejections.UNDONE:
        return _rejected(observed, rejected, revisions.stable)
    return _serving(observed, revisions.stable or target, rejected)


def _replacing(observed: Observed, revisions: Revisions, canary: CanaryRevision) -> Summary:
    """While there is a canary, running or failed."""
    stable = revisions.stable
    if canary.state == "Failed":
        return _failed(observed, canary, stable)
    if canary.stand_in_since is not None and stable is not None:
        return _standing_in(observed, stable, canary)
    if canary.state in SHIFTING:
        return _shifting(observed, canary, revisions)
    if rests(canary) and stable is not None:
        return _resting(observed, stable, canary)
    return _starting(observed, canary.revision, canary.version)


def _resting(observed: Observed, stable: StableRevision, canary: CanaryRevision) -> Summary:
    """While a canary whose pods have not been ready rests, because spec.replicas is, or was, 0."""
    message = f"ModelVersion {canary.version} starts when a pod of ModelVersion {stable.version} is ready"
    if observed.spec.replicas == 0:
        message = f"spec.replicas is 0: ModelVersion {canary.version} has not been ready, and starts again with pods of"
        message += f" ModelVersion {stable.version}"
    return conditions.reconciling("RevisionStarting", message, ready=False)


def _standing_in(observed: Observed, stable: StableRevision, canary: CanaryRevision) -> Summary:
    """While no pod of the stable revision is ready: whether the canary answers, and what keeps the stable pods."""
    if has_ready_pods(observed, canary.revision):
        message = f"no pod of ModelVersion {stable.version} is ready: the canary {canary.version} answers all requests"
        message += " until one is"
    else:
        message = f"no pod of ModelVersion {stable.version} is ready, nor of the canary {canary.version}"
    problem = hindrance(observed, stable.revision)
    if problem is not None:
        message += f"; {stable.version}: {problem.reason}: {problem.message}"
    return conditions.waiting(standin.STABLE_UNAVAILABLE, message)


def _failed(observed: Observed, canary: CanaryRevision, stable: StableRevision | None) -> Summary:
    """When the revision in the spec was given up."""
    kept = _kept(observed, stable)
    reason = canary.reason or "RevisionFailed"
    stand = conditions.stalled
    if canary.retry_at is not None:
        stand, kept = conditions.waiting, f"{kept}; it is tried again"
    if canary.step is not None or reason == rejections.ABORTED:
        message = f"ModelVersion {canary.version} was rolled back: {reason}: {canary.message or reason}{kept}"
        return stand("RolledBack", message)
    return stand(reason, f"ModelVersion {canary.version}: {canary.message or reason}{kept}")


def _rejected(observed: Observed, rejected: Rejection, stable: StableRevision | None) -> Summary:
    """When the revision in the spec was rejected earlier, and the status keeps only the reason."""
    kept = _kept(observed, stable)
    by = f": {requester_phrase(rejected.requested_by)}" if rejected.requested_by else ""
    message = f"ModelVersion {rejected.version} was rolled back: {rejected.reason}{by}{kept}"
    return conditions.stalled("RolledBack", f"{message}; {_retry(observed, rejected)}")


def _kept(observed: Observed, stable: StableRevision | None) -> str:
    """Suffix that names the version that keeps the traffic, and why it is no longer Ready if it is not."""
    if stable is None:
        return ""
    lost = withheld(observed, stable.version)
    return f"; {stable.version} keeps the traffic{f', and is no longer Ready{lost.why}' if lost else ''}"


def _retry(observed: Observed, rejected: Rejection) -> str:
    """The remedy: the command that lifts a rejection."""
    return f"to try it again: modelwright rollout retry {observed.name} --revision {rejected.revision}"


def _shifting(observed: Observed, canary: CanaryRevision, revisions: Revisions) -> Summary:
    """While the canary has a share of the traffic: its step, and what the step waits for."""
    if canary.state == "Completing":
        message = f"ModelVersion {canary.version} has passed; the rest of its pods start"
        return conditions.reconciling("CanaryCompleting", message, ready=False)
    count = len(planned(observed.spec))
    if rests(canary):
        place = f"step {(canary.step or 0) + 1} of {count} of ModelVersion {canary.version}"
        begins = f"{place} begins again when its pods are ready"
        message = f"spec.replicas is 0: {begins}" if observed.spec.replicas == 0 else begins
        return conditions.reconciling("CanaryInProgress", message, ready=False)
    message = f"ModelVersion {canary.version} answers {canary.weight or 0} % (step {(canary.step or 0) + 1} of {count})"
    lacking = share.missing(observed, revisions.stable, canary)
    if canary.waiting_since is not None and lacking is not None:
        message = f"ModelVersion {canary.version} waits for its share of the traffic, {canary.weight or 0} %: {lacking}"
    else:
        message += _not_passed(canary.checks)
    message += scrape_targets.unread(observed, observed.status.stable, canary)
    if is_paused(canary, observed.spec):
        return conditions.reconciling(
            "CanaryPaused", f"{message}; it is paused{_paused_by(observed, revisions)}", ready=False
        )
    if awaits_approval(canary, observed.spec):
        message = f"{message}; the step ends when spec.rollout.approvedRevision is {canary.revision}, or by promotion"
        return conditions.reconciling("AwaitingApproval", message, ready=False)
    return conditions.reconciling("CanaryInProgress", message, ready=False)


def _not_passed(checks: Sequence[Check] | None) -> str:
    """Suffix that names the checks that have not passed, and what each needs; empty if there are none."""
    waiting = [need(check) for check in checks or () if check.result != "Pass"]
    more = f"; and {len(waiting) - MOST_NAMES} more" if len(waiting) > MOST_NAMES else ""
    return f"; waits for {'; '.join(waiting[:MOST_NAMES])}{more}" if waiting else ""


def _paused_by(observed: Observed, revisions: Revisions) -> str:
    """Suffix that names who requested the pause; empty if the last decision was another one."""
    last = revisions.decision or observed.status.last_decision
    if last is None or last.verdict != "Pause" or last.reason != decision_log.REQUESTED:
        return ""
    return f", {requester_phrase(last.requested_by)}"


def _starting(observed: Observed, revision: str, version: str) -> Summary:
    """While the first pods of a revision start."""
    problem = hindrance(observed, revision)
    if problem is not None:
        return conditions.waiting(problem.reason, f"ModelVersion {version}: {problem.message}")
    return conditions.reconciling("RevisionStarting", f"ModelVersion {version} starts", ready=False)


def _serving(
    observed: Observed, stable: StableRevision | Revision, undone: Rejection | None = None
) -> Summary:
    """When there is no canary. `undone`: the rejection of the revision in the spec, if that was undone by request."""
    if not observed.has_traffic(stable.revision):
        return conditions.reconciling(
            "SwitchingTraffic", f"ModelVersion {stable.version} takes over the traffic", ready=False
        )
    if serves_fully(observed.deployment(stable.revision), observed.spec.replicas):
        return _done(observed, stable, undone)
    problem = hindrance(observed, stable.revision)
    if problem is not None:
        return conditions.waiting(problem.reason, f"ModelVersion {stable.version}: {problem.message}")
    return conditions.reconciling(
        "PodsNotReady", f"pods of ModelVersion {stable.version} are not ready", ready=False
    )


def _done(observed: Observed, stable: StableRevision | Revision, undone: Rejection | None) -> Summary:
    """When all pods of the revision that has the traffic are ready."""
    if isinstance(stable, StableRevision) and stable.bake_until is not None:
        message = f"ModelVersion {stable.version} has the traffic, and may still be taken back"
        message += scrape_targets.unread(observed, stable)
        return conditions.reconciling("Baking", message, ready=False)
    if undone is not None:
        message = f"ModelVersion {undone.version} was undone, {requester_phrase(undone.requested_by)}; "
        message += f"{stable.version} has the traffic; {_retry(observed, undone)}"
        return conditions.done(rejections.UNDONE, message)
    if observed.spec.replicas == 0:
        message = f"spec.replicas is 0: no pod of ModelVersion {stable.version} runs"
        return conditions.done("ScaledToZero", message)
    if observed.is_deleted(stable.version):
        message = f"ModelVersion {stable.version} was deleted; {_recorded(stable)}"
        return conditions.done("ServedVersionDeleted", message, warning=True)
    lost = withheld(observed, stable.version)
    if lost is not None:
        message = (
            f"ModelVersion {stable.version} is no longer Ready, and has the traffic until another takes over"
        )
        return conditions.done("ServedVersionNotReady", message + lost.why, warning=True)
    bad = ", ".join(passed_over(observed, stable.version)[-MOST_NAMES:])
    return conditions.done(
        "Serving",
        f"ModelVersion {stable.version} has the traffic{_unled(observed)}{f'; passed over: {bad}' if bad else ''}",
    )


def _unled(observed: Observed) -> str:
    """Suffix for a service that follows the Champion while no other one has it."""
    if not observed.leads_itself:
        return ""
    return f"; no other InferenceService that it could follow serves the model {observed.spec.model.name}"


def _recorded(stable: StableRevision | Revision) -> str:
    return f"revision {stable.revision} of ModelVersion {stable.version} serves on from the recorded artifact"


def refuted(observed: Observed, revisions: Revisions) -> Aspect | None:
    """The condition ArtifactVerified: False while a pod of a revision finds other bytes in the store than its digest.

    None else. Such bytes are never loaded."""
    for revision in (revisions.stable, revisions.canary):
        problem = None if revision is None else hindrance(observed, revision.revision)
        if revision is not None and problem is not None and problem.reason == DIGEST_MISMATCH:
            message = f"ModelVersion {revision.version}: {problem.message}"
            return Aspect("ArtifactVerified", False, problem.reason, message)
    failed = revisions.canary
    if failed is None or failed.state != "Failed" or failed.reason != DIGEST_MISMATCH:
        return None
    return Aspect(
        "ArtifactVerified", False, DIGEST_MISMATCH, f"ModelVersion {failed.version}: {failed.message}"
    )


def available(observed: Observed, revisions: Revisions) -> Aspect:
    """The condition Available: True while a ready pod answers callers."""
    stable = revisions.stable
    if stable is None:
        return Aspect("Available", False, NOT_DEPLOYED, "no version has been ready yet")
    if observed.service is None:
        return Aspect("Available", False, "NoService", f"ModelVersion {stable.version} has no Service yet")
    if has_ready_pods(observed, stable.revision):
        return Aspect("Available", True, "PodsReady", f"ModelVersion {stable.version} answers")
    canary = revisions.starting
    if canary is not None and standin.answers(canary, observed) and observed.has_traffic(canary.revision):
        message = f"no pod of ModelVersion {stable.version} is ready: the canary {canary.version} answers"
        return Aspect("Available", True, "CanaryAnswers", message)
    if observed.spec.replicas == 0:
        return Aspect("Available", False, "ScaledToZero", "spec.replicas is 0")
    return Aspect("Available", False, "PodsNotReady", f"no pod of ModelVersion {stable.version} is ready")
