"""Decides the next step of an InferenceService. Pure.

Everything that runs follows from the parts in status (stable, canary, retired): they are written before the
Deployments and the Service that follow from them, so that a crash in between is made good by the next look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelwright.api.inferenceservice import InferenceServiceStatus, Revision
from modelwright.common import conditions
from modelwright.common.conditions import Aspect, Verdict
from modelwright.common.resources import DEPLOYMENTS, REVISION, name
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, deleting, labels, uid
from modelwright.engine.plan import Delete, Effect, Plan
from modelwright.inferenceservice.objects import deployment, service, url
from modelwright.inferenceservice.observed import Observed, observe
from modelwright.inferenceservice.rollout import (
    Revisions,
    advance,
    deadline,
    hindrance,
    is_complete,
    ready_replicas,
)
from modelwright.inferenceservice.target import Unresolved, target


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
        revisions = advance(observed, wanted, now)
        verdict = _verdict(observed, wanted, revisions)
        return Plan(
            status=_status(observed, revisions, verdict, now),
            events=conditions.transition(observed.written_conditions, verdict),
            effects=tuple(self._effects(observed, revisions)),
            requeue_at=_look_again(observed, revisions),
        )

    def _effects(self, observed: Observed, revisions: Revisions) -> Iterable[Effect]:
        """First what serves, then what is no longer needed.

        The first revision has its Service from the start: traffic goes to ready pods only, and by the time that
        they are, the nodes have long heard of the Service. Made later, it refuses callers until they have.
        """
        stable, starting = revisions.stable, revisions.starting
        if stable is not None:
            yield deployment(observed, stable, self.settings)
        if selected := stable or starting:
            yield service(observed, selected)
        if starting is not None:
            yield deployment(observed, starting, self.settings)
        for found in observed.deployments:
            if labels(found).get(REVISION) not in revisions.running and not deleting(found):
                yield Delete(Key(DEPLOYMENTS, observed.namespace, name(found)), uid(found))


def _verdict(observed: Observed, wanted: Revision | Unresolved, revisions: Revisions) -> Verdict:
    if isinstance(wanted, Unresolved):
        return conditions.waiting(wanted.reason, wanted.message)
    canary = revisions.canary
    if canary is not None and canary.state == "Failed":
        kept = f"; {revisions.stable.version} keeps the traffic" if revisions.stable else ""
        reason = canary.reason or "RevisionFailed"
        return conditions.stalled(reason, f"ModelVersion {canary.version}: {canary.message or reason}{kept}")
    if canary is not None:
        return _starting(observed, canary.revision, canary.version)
    return _serving(observed, wanted)


def _starting(observed: Observed, revision: str, version: str) -> Verdict:
    problem = hindrance(observed, revision)
    if problem is not None:
        return conditions.waiting(problem.reason, f"ModelVersion {version}: {problem.message}")
    return conditions.reconciling("RevisionStarting", f"ModelVersion {version} starts", ready=False)


def _serving(observed: Observed, stable: Revision) -> Verdict:
    if not observed.has_traffic(stable.revision):
        return conditions.reconciling(
            "SwitchingTraffic", f"ModelVersion {stable.version} takes over the traffic", ready=False
        )
    if is_complete(observed.deployment(stable.revision), observed.spec.replicas):
        return conditions.done("Serving", f"ModelVersion {stable.version} has the traffic")
    problem = hindrance(observed, stable.revision)
    if problem is not None:
        return conditions.waiting(problem.reason, f"ModelVersion {stable.version}: {problem.message}")
    return conditions.reconciling(
        "PodsNotReady", f"pods of ModelVersion {stable.version} are not ready", ready=False
    )


def _available(observed: Observed, revisions: Revisions) -> Aspect:
    stable = revisions.stable
    if stable is None:
        return Aspect("Available", False, "NotDeployed", "no version has been ready yet")
    if observed.service is None:
        return Aspect("Available", False, "NotDeployed", f"ModelVersion {stable.version} has no Service yet")
    if ready_replicas(observed.deployment(stable.revision)) > 0:
        return Aspect("Available", True, "PodsReady", f"ModelVersion {stable.version} answers")
    if observed.spec.replicas == 0:
        return Aspect("Available", False, "ScaledToZero", "spec.replicas is 0")
    return Aspect("Available", False, "PodsNotReady", f"no pod of ModelVersion {stable.version} is ready")


def _status(observed: Observed, revisions: Revisions, verdict: Verdict, now: datetime) -> dict[str, Any]:
    stable, canary = revisions.stable, revisions.canary
    status = InferenceServiceStatus(
        observed_generation=observed.generation,
        url=url(observed) if stable else None,
        replicas=ready_replicas(observed.deployment(stable.revision)) if stable else 0,
        stable=stable.model_copy(update=_counts(observed, stable)) if stable else None,
        canary=canary.model_copy(update=_counts(observed, canary)) if canary else None,
        retired=revisions.retired,
    ).model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"conditions"})
    aspects = (_available(observed, revisions),)
    status["conditions"] = conditions.conditions(
        observed.written_conditions, verdict, observed.generation, now, aspects
    )
    return status


def _counts(observed: Observed, revision: Revision) -> dict[str, int]:
    found = observed.deployment(revision.revision)
    return {"replicas": observed.spec.replicas, "ready_replicas": ready_replicas(found)}


def _look_again(observed: Observed, revisions: Revisions) -> datetime | None:
    """When time alone changes something: a canary's deadline, the end of a retired revision."""
    times = []
    if revisions.starting is not None:
        times.append(deadline(revisions.starting, observed))
    if revisions.retired is not None:
        times.append(from_timestamp(revisions.retired.until))
    return min(times, default=None)
