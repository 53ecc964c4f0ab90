"""Decides the next step of an InferenceService. Pure.

Everything that runs follows from the parts in status (stable, canary, retired): they are written before the
Deployments and the Service that follow from them, so that a crash in between is made good by the next look.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from modelwright.api.inferenceservice import CanaryRevision, Rejection, Revision, StableRevision
from modelwright.api.requests import asked_for
from modelwright.common import conditions
from modelwright.common.conditions import Aspect, Summary
from modelwright.common.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    REVISION,
    SERVICES,
)
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, controller, deleting, labels, name, uid
from modelwright.engine.plan import Delete, Effect, Event, Plan
from modelwright.inferenceservice import gateway
from modelwright.inferenceservice.analysis import queries, scrape_targets
from modelwright.inferenceservice.manifests import httproute, pod_retries, traffic_rule
from modelwright.inferenceservice.manifests.deployment import deployment
from modelwright.inferenceservice.manifests.services import canary_service, selected, service
from modelwright.inferenceservice.observed import Observed, observe
from modelwright.inferenceservice.revision import image
from modelwright.inferenceservice.revision.adoption import NOT_DEPLOYED
from modelwright.inferenceservice.revision.revisions import Revisions, is_kept
from modelwright.inferenceservice.revision.target import Unresolved, passed_over, target
from modelwright.inferenceservice.rollout import decision_log, rejections, share, standin
from modelwright.inferenceservice.rollout.machine import advance
from modelwright.inferenceservice.rollout.readiness import (
    deadline,
    has_ready_pods,
    hindrance,
    serves_fully,
    waits_since,
)
from modelwright.inferenceservice.rollout.steps import (
    SHIFTING,
    awaits_approval,
    is_paused,
    look_again,
    planned,
    replicas,
)
from modelwright.inferenceservice.status import record
from modelwright.workload.refusals import overruled

# As many versions as a message names.
MOST_NAMES = 5


@dataclass(frozen=True)
class InferenceServicePlanner:
    """Plans InferenceServices with the administrator's settings."""

    settings: Settings

    def __call__(self, view: View, key: Key, now: datetime) -> Plan:
        """The next step."""
        observed = observe(view, key)
        if observed is None or deleting(observed.body):
            return Plan()
        wanted = target(observed, self.settings)
        chosen = None
        if not isinstance(wanted, Unresolved):
            before = partial(image.ahead, view, key, wanted.image)
            chosen = image.choice(observed.status, wanted, observed.generation, self.settings, before)
            wanted = chosen.revision
        revisions = advance(observed, wanted, now)
        summary = gateway.overruled(_summary(observed, wanted, revisions), observed.outside)
        summary = overruled(image.announced(summary, chosen, self.settings), observed.refusals)
        return Plan(
            status=_status(observed, revisions, summary, now),
            events=(
                *decision_log.event(revisions.decision),
                *conditions.transition(observed.written_conditions, summary),
                *_refusal(revisions),
                *_adoption(observed),
            ),
            effects=(*self._effects(observed, revisions), *pod_retries.effects(observed, revisions, now)),
            requeue_at=min(
                (*_look_again(observed, revisions, now), *image.look_again(chosen, self.settings, now)),
                default=None,
            ),
        )

    def _effects(self, observed: Observed, revisions: Revisions) -> Iterable[Effect]:
        """First what serves, then what is no longer needed."""
        stable, starting = revisions.stable, revisions.starting
        if stable is not None:
            yield deployment(observed, stable, observed.spec.replicas, self.settings)
        if serving := revisions.answering:
            yield service(observed, serving)
        if starting is not None:
            yield from self._canary(observed, revisions, starting)
        elif revisions.kept is not None and observed.deployment(revisions.kept.revision) is not None:
            one = min(1, observed.spec.replicas)
            yield deployment(observed, revisions.kept, one, self.settings, kept=True)
        held = httproute.held(observed)
        if stable is not None and starting is not None and planned(observed.spec):
            there = observed.canary_service
            if there is None or there not in held or selected(there) == starting.revision:
                yield canary_service(observed, starting)
        yield from httproute.effects(observed, revisions)
        yield from traffic_rule.effects(observed, revisions)
        yield from self._leftovers(observed, revisions, held)

    def _canary(self, observed: Observed, revisions: Revisions, canary: CanaryRevision) -> Iterable[Effect]:
        """Pods that an earlier try has left are made anew, unless they have become ready."""
        known = observed.deployment(canary.revision)
        if known is not None and is_kept(known) and not has_ready_pods(observed, canary.revision):
            if not deleting(known):
                yield Delete(Key(DEPLOYMENTS, observed.namespace, name(known)), uid(known))
            return
        pods = replicas(canary, observed.spec, beside=revisions.stable is not None)
        yield deployment(observed, canary, pods, self.settings)

    def _leftovers(
        self, observed: Observed, revisions: Revisions, held: Collection[Body]
    ) -> Iterable[Delete]:
        """What belongs to revisions that no longer run, and the canary's Service without a canary: once no caller is
        led there any more (`held`)."""
        kept = revisions.running | set(map(selected, held))
        if revisions.kept is not None:
            kept.add(revisions.kept.revision)
        for found in observed.configs:
            if labels(found).get(REVISION) not in revisions.running and not deleting(found):
                yield Delete(Key(CONFIG_MAPS, observed.namespace, name(found)), uid(found))
        for found in observed.side_services:
            if found not in held and _is_left(observed, revisions, found):
                yield Delete(Key(SERVICES, observed.namespace, name(found)), uid(found))
        for found in observed.deployments:
            # What a backup tool has restored may become the stable revision as long as there is none.
            may_serve = revisions.stable is None and controller(found) is None
            may_serve = may_serve or _still_answers(observed, revisions, found)
            if labels(found).get(REVISION) not in kept and not deleting(found) and not may_serve:
                yield Delete(Key(DEPLOYMENTS, observed.namespace, name(found)), uid(found))


def _still_answers(observed: Observed, revisions: Revisions, deployment: Body) -> bool:
    """Whether the Service leads callers to pods that are to go: it may not have been switched yet."""
    return revisions.answering is not None and observed.has_traffic(labels(deployment).get(REVISION, ""))


def _is_left(observed: Observed, revisions: Revisions, canarys: Body) -> bool:
    """Whether nobody uses the canary's Service any more.

    Pods hear a moment later that there is no canary, and until then they ask it: better than to ask nobody.
    """
    if revisions.starting is not None or revisions.retired is not None or deleting(canarys):
        return False
    revision = selected(canarys)
    leaving = any(labels(pod).get(REVISION) == revision for pod in observed.labelled_pods)
    kept = revisions.kept is not None and revision == revisions.kept.revision
    return kept or revision in revisions.running or not leaving


def _summary(observed: Observed, wanted: Revision | Unresolved, revisions: Revisions) -> Summary:
    if isinstance(wanted, Unresolved):
        stand = conditions.stalled if wanted.hopeless else conditions.waiting
        stable = revisions.stable
        kept = f"; {_recorded(stable)}" if stable and observed.is_deleted(stable.version) else ""
        return stand(wanted.reason, f"{wanted.message}{kept}")
    canary = revisions.canary
    if canary is not None:
        return _replacing(observed, revisions, canary)
    rejected = rejections.blocking(revisions.rejected, wanted)
    if rejected is not None and rejected.reason != rejections.UNDONE:
        return _rejected(observed, rejected, revisions.stable)
    return _serving(observed, revisions.stable or wanted, rejected)


def _replacing(observed: Observed, revisions: Revisions, canary: CanaryRevision) -> Summary:
    stable = revisions.stable
    if canary.state == "Failed":
        return _failed(canary, stable)
    if canary.stand_in_since is not None and stable is not None:
        return _standing_in(observed, stable, canary)
    if canary.state in SHIFTING:
        return _shifting(observed, canary, revisions)
    return _starting(observed, canary.revision, canary.version)


def _standing_in(observed: Observed, stable: StableRevision, canary: CanaryRevision) -> Summary:
    """What callers get while no pod of the stable revision is ready, and what keeps those pods."""
    if has_ready_pods(observed, canary.revision):
        message = f"no pod of ModelVersion {stable.version} is ready: the canary {canary.version} answers all requests"
        message += " until one is"
    else:
        message = f"no pod of ModelVersion {stable.version} is ready, nor of the canary {canary.version}"
    problem = hindrance(observed, stable.revision)
    if problem is not None:
        message += f"; {stable.version}: {problem.reason}: {problem.message}"
    return conditions.waiting(standin.STABLE_UNAVAILABLE, message)


def _failed(canary: CanaryRevision, stable: StableRevision | None) -> Summary:
    """The spec asks for a revision that was given up."""
    kept = f"; {stable.version} keeps the traffic" if stable else ""
    reason = canary.reason or "RevisionFailed"
    stand = conditions.stalled
    if canary.retry_at is not None:
        stand, kept = conditions.waiting, f"{kept}; it is tried again"
    if canary.step is not None or reason == rejections.ABORTED:
        message = f"ModelVersion {canary.version} was rolled back: {reason}: {canary.message or reason}{kept}"
        return stand("RolledBack", message)
    return stand(reason, f"ModelVersion {canary.version}: {canary.message or reason}{kept}")


def _rejected(observed: Observed, rejected: Rejection, stable: StableRevision | None) -> Summary:
    """The spec asks for what was rejected, and how that ended is not remembered in detail any more."""
    kept = f"; {stable.version} keeps the traffic" if stable else ""
    by = f": {asked_for(rejected.requested_by)}" if rejected.requested_by else ""
    message = f"ModelVersion {rejected.version} was rolled back: {rejected.reason}{by}{kept}"
    return conditions.stalled("RolledBack", f"{message}; {_retry(observed, rejected)}")


def _retry(observed: Observed, rejected: Rejection) -> str:
    return f"to try it again: modelwright rollout retry {observed.name} --revision {rejected.revision}"


def _shifting(observed: Observed, canary: CanaryRevision, revisions: Revisions) -> Summary:
    if canary.state == "Completing":
        message = f"ModelVersion {canary.version} has passed; the rest of its pods start"
        return conditions.reconciling("CanaryCompleting", message, ready=False)
    count = len(planned(observed.spec))
    message = f"ModelVersion {canary.version} answers {canary.weight or 0} % (step {(canary.step or 0) + 1} of {count})"
    lacking = share.missing(observed, revisions.stable, canary)
    if canary.waiting_since is not None and lacking is not None:
        message = f"ModelVersion {canary.version} waits for its share of the traffic, {canary.weight or 0} %: {lacking}"
    message += f"; waits for {', '.join(canary.waiting_for)}" if canary.waiting_for else ""
    message += queries.wanting(observed.spec.rollout.analysis, observed.measured, canary)
    message += scrape_targets.unread(observed, observed.status.stable, canary)
    if is_paused(canary, observed.spec):
        return conditions.reconciling(
            "CanaryPaused", f"{message}; it is paused{_paused_by(observed, revisions)}", ready=False
        )
    if awaits_approval(canary, observed.spec):
        told = f"{message}; the step ends when spec.rollout.approvedRevision is {canary.revision}, or by promotion"
        return conditions.reconciling("AwaitingApproval", told, ready=False)
    return conditions.reconciling("CanaryInProgress", message, ready=False)


def _paused_by(observed: Observed, revisions: Revisions) -> str:
    """Who asked for the pause, as long as nothing else was decided since."""
    last = revisions.decision or observed.status.last_decision
    if last is None or last.verdict != "Pause" or last.reason != decision_log.REQUESTED:
        return ""
    return f", {asked_for(last.requested_by)}"


def _starting(observed: Observed, revision: str, version: str) -> Summary:
    problem = hindrance(observed, revision)
    if problem is not None:
        return conditions.waiting(problem.reason, f"ModelVersion {version}: {problem.message}")
    return conditions.reconciling("RevisionStarting", f"ModelVersion {version} starts", ready=False)


def _serving(
    observed: Observed, stable: StableRevision | Revision, undone: Rejection | None = None
) -> Summary:
    """`undone`: what the spec asks for, and somebody has undone."""
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
    """All pods of the revision that has the traffic are ready."""
    if isinstance(stable, StableRevision) and stable.bake_until is not None:
        message = f"ModelVersion {stable.version} has the traffic, and may still be taken back"
        message += scrape_targets.unread(observed, stable)
        return conditions.reconciling("Baking", message, ready=False)
    if undone is not None:
        message = f"ModelVersion {undone.version} was undone, {asked_for(undone.requested_by)}; "
        message += f"{stable.version} has the traffic; {_retry(observed, undone)}"
        return conditions.done(rejections.UNDONE, message)
    if observed.spec.replicas == 0:
        message = f"spec.replicas is 0: no pod of ModelVersion {stable.version} runs"
        return conditions.done("ScaledToZero", message)
    if observed.is_deleted(stable.version):
        message = f"ModelVersion {stable.version} was deleted; {_recorded(stable)}"
        return conditions.done("ServedVersionDeleted", message, warning=True)
    bad = ", ".join(passed_over(observed, stable.version)[-MOST_NAMES:])
    return conditions.done(
        "Serving",
        f"ModelVersion {stable.version} has the traffic{f'; passed over: {bad}' if bad else ''}",
    )


def _recorded(stable: StableRevision | Revision) -> str:
    return f"revision {stable.revision} of ModelVersion {stable.version} serves on from the recorded artifact"


def _available(observed: Observed, revisions: Revisions) -> Aspect:
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


def _status(observed: Observed, revisions: Revisions, summary: Summary, now: datetime) -> dict[str, Any]:
    status = record(observed, revisions).model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"conditions"}
    )
    outside = () if observed.outside is None else (observed.outside,)
    aspects = (_available(observed, revisions), *outside)
    status["conditions"] = conditions.conditions(
        observed.written_conditions, summary, observed.generation, now, aspects
    )
    return status


def _adoption(observed: Observed) -> tuple[Event, ...]:
    stable = observed.status.stable
    if not observed.adopted or stable is None:
        return ()
    message = (
        f"the status was lost; revision {stable.revision} of ModelVersion {stable.version} runs and is kept"
    )
    return (Event("Normal", "RevisionAdopted", message),)


def _refusal(revisions: Revisions) -> tuple[Event, ...]:
    return () if revisions.refused is None else (Event("Warning", "RequestIgnored", revisions.refused),)


def _look_again(observed: Observed, revisions: Revisions, now: datetime) -> list[datetime]:
    """When time alone changes something: a canary's deadline, the end of a retired revision."""
    times = []
    if revisions.starting is not None:
        canary = revisions.starting
        times += [deadline(waits_since(canary), observed), *look_again(canary, observed.spec)]
        if canary.stand_in_since is not None:
            times.append(deadline(from_timestamp(canary.stand_in_since), observed))
    if revisions.canary is not None and revisions.canary.retry_at is not None:
        times.append(from_timestamp(revisions.canary.retry_at))
    times += pod_retries.times(observed, revisions)
    if revisions.stable is not None and revisions.stable.bake_until is not None:
        times.append(from_timestamp(revisions.stable.bake_until))
    if revisions.retired is not None:
        times.append(from_timestamp(revisions.retired.until))
    return [moment for moment in times if moment > now]
