"""Decides the next step of a ModelVersion. Pure.

Either the run that made it vouches for it (its publisher measured and verified the file), or a Job verifies the
file. Both happen once: these facts stay. What may change is computed each time, see aspects.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelwright.common import conditions
from modelwright.common.conditions import Summary
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, deleting, uid
from modelwright.engine.plan import Delete, Effect, Plan
from modelwright.modelversion.aspects import announcements, aspects
from modelwright.modelversion.facts import Facts, of_run, recalled
from modelwright.modelversion.observed import Observed, observe
from modelwright.modelversion.verification import Pending, verification
from modelwright.workload.refusals import problem

UNFINISHED = {"Pending", "Running"}


@dataclass(frozen=True)
class ModelVersionPlanner:
    """Plans ModelVersions with the administrator's settings."""

    settings: Settings

    def __call__(self, view: View, key: Key, now: datetime) -> Plan:
        """The next step."""
        observed = observe(view, key)
        if observed is None or deleting(observed.body):
            return Plan()
        found = recalled(observed.written_status) or self._find_out(observed, now)
        if isinstance(found, Pending):
            refused = problem(observed.refusals)
            summary = (
                found.summary if refused is None else conditions.waiting(refused.reason, refused.message)
            )
            return _plan(observed, None, summary, now, found.effects, found.requeue_at)
        return _plan(observed, found, _summary(found), now, _tidied(observed, found))

    def _find_out(self, observed: Observed, now: datetime) -> Facts | Pending:
        """The facts, or what is done to find them."""
        run = observed.run
        if run is not None and observed.job is None:
            if run.get("state") in UNFINISHED:
                summary = conditions.reconciling("Publishing", "the run that makes it is not finished")
                return Pending(summary)
            if vouched := of_run(run, observed.artifact["digest"]):
                return vouched
        return verification(observed, self.settings, now)


def _summary(facts: Facts) -> Summary:
    """Ready, given all that is known for good."""
    reason, message = facts.verified.reason, facts.verified.message
    if facts.good:
        return conditions.done(reason, message)
    return conditions.stalled(
        reason, f"{message.rstrip('.')}; delete this ModelVersion and write another one"
    )


def _tidied(observed: Observed, facts: Facts) -> tuple[Effect, ...]:
    """The Job has done its work when the model is good; a failed one is kept for its log."""
    if observed.job is None or not facts.good or deleting(observed.job):
        return ()
    return (Delete(observed.job_key, uid(observed.job)),)


def _plan(
    observed: Observed,
    facts: Facts | None,
    summary: Summary,
    now: datetime,
    effects: tuple[Effect, ...],
    requeue_at: datetime | None = None,
) -> Plan:
    before, found = observed.written_conditions, aspects(observed, facts)
    status: dict[str, Any] = dict(facts.details) if facts is not None else {}
    status["observedGeneration"] = observed.generation
    status["conditions"] = conditions.conditions(before, summary, observed.generation, now, found)
    return Plan(
        status=status,
        events=(*conditions.transition(before, summary), *announcements(before, found)),
        effects=effects,
        requeue_at=requeue_at,
    )
