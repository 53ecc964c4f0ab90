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

from modelwright.api.inferenceservice import CanaryRevision
from modelwright.common import conditions
from modelwright.common.conditions import Summary
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
from modelwright.inferenceservice import gateway, ready
from modelwright.inferenceservice.manifests import httproute, pod_retries, traffic_rule
from modelwright.inferenceservice.manifests.deployment import deployment
from modelwright.inferenceservice.manifests.services import canary_service, selected, service
from modelwright.inferenceservice.observed import Observed, observe
from modelwright.inferenceservice.revision import image
from modelwright.inferenceservice.revision.revisions import Revisions, is_kept
from modelwright.inferenceservice.revision.target import Unresolved, target
from modelwright.inferenceservice.rollout import decision_log
from modelwright.inferenceservice.rollout.machine import advance
from modelwright.inferenceservice.rollout.readiness import (
    deadline,
    has_ready_pods,
    waits_since,
)
from modelwright.inferenceservice.rollout.steps import (
    look_again,
    planned,
    replicas,
)
from modelwright.inferenceservice.status import record
from modelwright.workload.refusals import with_refusals


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
        summary = gateway.overruled(ready.summary(observed, wanted, revisions), observed.outside)
        summary = with_refusals(image.announced(summary, chosen, self.settings), observed.refusals)
        return Plan(
            status=_status(observed, revisions, summary, now),
            events=(
                *decision_log.event(revisions.decision),
                *conditions.transition_events(observed.written_conditions, summary),
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


def _status(observed: Observed, revisions: Revisions, summary: Summary, now: datetime) -> dict[str, Any]:
    status = record(observed, revisions).model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"conditions"}
    )
    outside = () if observed.outside is None else (observed.outside,)
    aspects = (ready.available(observed, revisions), *outside)
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
