"""Plans one reconcile of an InferenceService: its effects, and when to reconcile again. Pure.

Everything that runs follows from the revisions in status (stable, canary, retired). They are written before the
Deployments and Services that follow from them, so that the next reconcile repairs what a crash in between left undone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from modelwright.api.inferenceservice import CanaryRevision, InferenceServiceStatus, RetiredRevision
from modelwright.common import conditions
from modelwright.common.conditions import Progress, Summary
from modelwright.common.resources import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    PROMETHEUS_RULES,
    REVISION,
    SERVICES,
)
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, controller, deleting, labels, name, uid
from modelwright.engine.plan import Delete, Effect, Event, Plan, deletions
from modelwright.engine.refusal import Refusal
from modelwright.inferenceservice import gateway, ready
from modelwright.inferenceservice.manifests import (
    autoscaler,
    counts_config,
    disruption_budget,
    httproute,
    monitor_config,
    pod_retries,
    traffic_rule,
)
from modelwright.inferenceservice.manifests.deployment import deployment
from modelwright.inferenceservice.manifests.names import counts_name, monitor_name
from modelwright.inferenceservice.manifests.services import canary_service, retired_service, selected, service
from modelwright.inferenceservice.monitoring import aspects
from modelwright.inferenceservice.monitoring.state import Watch, watch
from modelwright.inferenceservice.objectives import alert_rules
from modelwright.inferenceservice.observed import Observed, observe
from modelwright.inferenceservice.revision import image
from modelwright.inferenceservice.revision.placing import placed
from modelwright.inferenceservice.revision.revisions import Revisions, is_kept
from modelwright.inferenceservice.revision.target import Unresolved, target
from modelwright.inferenceservice.rollout import decision_log, standin
from modelwright.inferenceservice.rollout.machine import advance
from modelwright.inferenceservice.rollout.readiness import (
    deadline,
    has_ready_pods,
    waits_since,
)
from modelwright.inferenceservice.rollout.steps import planned, rests, times_of
from modelwright.inferenceservice.status import decisive, record
from modelwright.workload.refusals import with_refusals


@dataclass(frozen=True)
class InferenceServicePlanner:
    """Plans InferenceServices with the administrator's settings."""

    settings: Settings

    def __call__(self, view: View, key: Key, now: datetime) -> Plan:
        """Returns what to write for this InferenceService now; nothing if it is gone or being deleted."""
        observed = observe(view, key)
        if observed is None or deleting(observed.body):
            return Plan()
        requested = target(observed, self.settings)
        chosen = None
        if not isinstance(requested, Unresolved):
            most = image.MOST_TURNS * self.settings.max_concurrent_rollouts
            before = partial(image.ahead, view, key, requested.image, most)
            chosen = image.choice(observed.status, requested, observed.is_of_this_spec, self.settings, before)
            requested = chosen.revision
        revisions = placed(observed, advance(observed, requested, now), self.settings)
        summary = gateway.overruled(ready.summary(observed, requested, revisions), observed.outside)
        in_the_way = [each for each in observed.refusals if each not in _beside(observed)]
        summary = with_refusals(image.announced(summary, chosen, self.settings), in_the_way)
        watched = watch(observed, revisions, now)
        recorded = record(observed, revisions, watched)
        return Plan(
            status=_status(observed, revisions, recorded, summary, watched, now, self.settings),
            patience=_patience(observed, recorded, summary),
            events=(
                *decision_log.event(revisions.decision),
                *_transition(observed, summary),
                *_refusal(revisions),
                *_adoption(observed),
                *aspects.events(watched, observed.conditions_by_type),
            ),
            effects=(
                *self._effects(observed, revisions),
                *monitor_config.effects(observed, watched),
                *pod_retries.effects(observed, revisions, now),
            ),
            requeue_at=min(
                (*_times(observed, revisions, now), *image.times(chosen, self.settings, now)),
                default=None,
            ),
        )

    def _effects(self, observed: Observed, revisions: Revisions) -> Iterable[Effect]:
        """Yields what the running revisions need first, then the deletion of what is left over."""
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
        if revisions.retired is not None and revisions.retired.revision not in revisions.others:
            yield from self._retired(observed, revisions.retired)
        held = httproute.held(observed)
        if stable is not None and starting is not None and planned(observed.spec):
            existing = observed.canary_service
            if existing is None or existing not in held or selected(existing) == starting.revision:
                yield canary_service(observed, starting)
        if revisions.baked_against is not None:
            yield retired_service(observed, revisions.baked_against)
        yield from httproute.effects(observed, revisions)
        yield from traffic_rule.effects(observed, revisions, self.settings)
        yield from counts_config.effects(observed, revisions)
        yield from disruption_budget.effects(observed, revisions, self.settings)
        yield from autoscaler.effects(observed)
        yield from alert_rules.effects(observed, self.settings)
        yield from self._leftovers(observed, revisions, held)

    def _canary(self, observed: Observed, revisions: Revisions, canary: CanaryRevision) -> Iterable[Effect]:
        """Yields the canary's Deployment. One that was kept for its log is deleted first, unless it has ready pods."""
        existing = observed.deployment(canary.revision)
        if existing is not None and is_kept(existing) and not has_ready_pods(observed, canary.revision):
            yield from deletions(DEPLOYMENTS, [existing])
            return
        yield deployment(observed, canary, standin.pods(canary, revisions.stable, observed), self.settings)

    def _retired(self, observed: Observed, retired: RetiredRevision) -> Iterable[Effect]:
        """Yields the Deployment of the retired revision, as long as it has one: going back to it is one switch, for
        which it needs as many pods as the stable one."""
        existing = observed.deployment(retired.revision)
        if existing is not None and not deleting(existing):
            yield deployment(observed, retired, observed.spec.replicas, self.settings)

    def _leftovers(
        self, observed: Observed, revisions: Revisions, held: Collection[Body]
    ) -> Iterable[Delete]:
        """Yields the deletion of objects whose revision no longer runs, and of the Service of a canary that is over.

        `held`: Services that the Gateway may still route to. They and what is behind them stay.
        """
        kept = revisions.running | set(map(selected, held))
        if revisions.kept is not None:
            kept.add(revisions.kept.revision)
        for leftover in observed.configs:
            if (
                labels(leftover).get(REVISION) not in revisions.running
                # `counts_config` and `monitor_config` delete these
                and name(leftover) not in (counts_name(observed), monitor_name(observed))
                and not deleting(leftover)
            ):
                yield Delete(Key(CONFIG_MAPS, observed.namespace, name(leftover)), uid(leftover))
        for leftover in observed.side_services:
            if leftover not in held and _is_left(observed, revisions, leftover):
                yield Delete(Key(SERVICES, observed.namespace, name(leftover)), uid(leftover))
        for leftover in observed.deployments:
            # A Deployment that a backup tool restored has no owner; without a stable revision it may become that.
            may_serve = revisions.stable is None and controller(leftover) is None
            may_serve = may_serve or _still_answers(observed, revisions, leftover)
            if labels(leftover).get(REVISION) not in kept and not deleting(leftover) and not may_serve:
                yield Delete(Key(DEPLOYMENTS, observed.namespace, name(leftover)), uid(leftover))


def _still_answers(observed: Observed, revisions: Revisions, deployment: Body) -> bool:
    """True if the Service still selects this Deployment's pods: it may not have been switched yet."""
    return revisions.answering is not None and observed.has_traffic(labels(deployment).get(REVISION, ""))


def _is_left(observed: Observed, revisions: Revisions, canary_service: Body) -> bool:
    """True if the Service of a canary that is over can be deleted.

    Pods of the stable revision keep sending requests to it until the new traffic rule reaches them, so it stays as long
    as pods of its revision are left to answer.
    """
    if revisions.starting is not None or revisions.retired is not None or deleting(canary_service):
        return False
    revision = selected(canary_service)
    leaving = any(labels(pod).get(REVISION) == revision for pod in observed.labelled_pods)
    kept = revisions.kept is not None and revision == revisions.kept.revision
    return kept or revision in revisions.running or not leaving


def _transition(observed: Observed, summary: Summary) -> tuple[Event, ...]:
    """The event of the summary. The first success has none: the conditions tell as much."""
    if summary.progress is Progress.DONE and not summary.warning and observed.status.stable is None:
        return ()
    return conditions.transition_events(observed.written_conditions, summary)


def _patience(observed: Observed, recorded: InferenceServiceStatus, summary: Summary) -> timedelta:
    """How long the status may wait: not at all if it records more than progress and counts of pods."""
    if observed.adopted or decisive(recorded) != decisive(observed.status):
        return timedelta(0)
    return conditions.patience(observed.written_status, summary, observed.generation)


def _status(
    observed: Observed,
    revisions: Revisions,
    recorded: InferenceServiceStatus,
    summary: Summary,
    watched: Watch | None,
    now: datetime,
    settings: Settings,
) -> dict[str, Any]:
    """The whole status, with its conditions, as it is written."""
    status = recorded.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"conditions"})
    found = (
        ready.available(observed, revisions),
        observed.outside,
        ready.refuted(observed, revisions),
        autoscaler.aspect(observed),
        disruption_budget.aspect(observed, revisions, settings),
        alert_rules.aspect(observed, settings),
    )
    beside = [aspect for aspect in found if aspect is not None]
    if watched is not None:
        beside += aspects.aspects(watched)
    status["conditions"] = conditions.conditions(
        observed.written_conditions, summary, observed.generation, now, beside
    )
    return status


def _beside(observed: Observed) -> tuple[Refusal, ...]:
    """The refused writes that have conditions of their own, and no say in Ready: callers are answered all the same."""
    kinds = (PROMETHEUS_RULES, AUTOSCALERS, DISRUPTION_BUDGETS)
    return tuple(refusal for kind in kinds for refusal in observed.refused(kind))


def _adoption(observed: Observed) -> tuple[Event, ...]:
    """The event that the stable revision was recovered from what runs; nothing if it was not."""
    stable = observed.status.stable
    if not observed.adopted or stable is None:
        return ()
    message = (
        f"the status was lost; revision {stable.revision} of ModelVersion {stable.version} runs and is kept"
    )
    return (Event("Normal", "RevisionAdopted", message),)


def _refusal(revisions: Revisions) -> tuple[Event, ...]:
    """The event that a request was refused; nothing if none was."""
    return () if revisions.refused is None else (Event("Warning", "RequestIgnored", revisions.refused),)


def _times(observed: Observed, revisions: Revisions, now: datetime) -> list[datetime]:
    """Returns the future times at which the plan changes without an event, as at a canary's deadline."""
    times = []
    if revisions.starting is not None:
        canary = revisions.starting
        times += times_of(canary, observed.spec)
        if not rests(canary):
            times.append(deadline(waits_since(canary), observed))
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
