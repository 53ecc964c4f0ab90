"""Plans a ModelVersion. Pure.

Its facts come once: from the run that made it, whose publisher measured and verified the file, or from a Job that
verifies the file. Conditions that can change are computed at every reconcile, see aspects.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelwright.common import conditions
from modelwright.common.conditions import Summary
from modelwright.common.families import aliases
from modelwright.common.settings import Settings
from modelwright.common.standing import REJECTED
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, deleting, uid
from modelwright.engine.plan import Delete, Effect, Event, Plan
from modelwright.modelversion.approvals import Approvals, approval_events, written
from modelwright.modelversion.approvals import approvals as approvals_of
from modelwright.modelversion.aspects import aspects, quarantine_events
from modelwright.modelversion.facts import (
    Facts,
    facts_in_status,
    facts_of_run,
    short_digest,
    signature_aspect,
)
from modelwright.modelversion.gates import Judged, judged_in_status
from modelwright.modelversion.judgement import judgement
from modelwright.modelversion.observed import Observed, observe
from modelwright.modelversion.verification import Pending, verification
from modelwright.workload.refusals import first_problem

UNFINISHED = {"Pending", "Running"}


@dataclass(frozen=True)
class ModelVersionPlanner:
    """Plans ModelVersions with the administrator's settings."""

    settings: Settings

    def __call__(self, view: View, key: Key, now: datetime) -> Plan:
        """Returns the plan of a ModelVersion."""
        observed = observe(view, key)
        if observed is None or deleting(observed.body):
            return Plan()
        facts = facts_in_status(observed.written_status, observed.spec) or self._find_out(observed, now)
        approvals = approvals_of(observed, now)
        if isinstance(facts, Pending):
            refused = first_problem(observed.refusals)
            summary = (
                facts.summary if refused is None else conditions.waiting(refused.reason, refused.message)
            )
            found = _Found(None, (), approvals, summary)
            return _plan(view, observed, found, now, facts.effects, facts.requeue_at)
        known = facts.details.get("gates") or ()
        gates = judged_in_status(observed.spec, known, by_run=facts.by_run) if facts.servable else ()
        found = _Found(facts, gates, approvals, _summary(observed, facts, gates, approvals))
        return _plan(view, observed, found, now, _cleanup(observed, facts))

    def _find_out(self, observed: Observed, now: datetime) -> Facts | Pending:
        """The facts from the run or from the Job; Pending if there are none yet. A run vouches for no signature."""
        run = observed.run
        if run is not None and observed.job is None and observed.key is None:
            if run.get("state") in UNFINISHED:
                summary = conditions.reconciling("Publishing", "the run that makes it is not finished")
                return Pending(summary)
            if vouched := facts_of_run(run, observed.spec):
                return vouched
        return verification(observed, self.settings, now)


@dataclass(frozen=True)
class _Found:
    """What is known of a version, and how it stands."""

    facts: Facts | None
    gates: Sequence[Judged]
    approvals: Approvals
    summary: Summary


def _summary(observed: Observed, facts: Facts, gates: Sequence[Judged], approvals: Approvals) -> Summary:
    """The summary of a ModelVersion whose facts are known."""
    if facts.servable:
        return judgement(observed, facts, gates, approvals)
    verified = facts.verified
    remedy = "delete this ModelVersion and write another one"
    return conditions.stalled(verified.reason, f"{verified.message.rstrip('.')}; {remedy}")


def _cleanup(observed: Observed, facts: Facts) -> tuple[Effect, ...]:
    """Deletes the Job once the file is verified. A failed Job is kept for its log."""
    if observed.job is None or not facts.servable or deleting(observed.job):
        return ()
    return (Delete(observed.job_key, uid(observed.job)),)


def _plan(
    view: View,
    observed: Observed,
    found: _Found,
    now: datetime,
    effects: tuple[Effect, ...],
    requeue_at: datetime | None = None,
) -> Plan:
    summary, before = found.summary, observed.written_conditions
    computed = aspects(observed, found.facts, found.gates, found.approvals)
    if found.facts is None and (signed := signature_aspect(summary.reason, summary.message)):
        computed = (*computed, signed)
    lists = {
        "gates": [each.written for each in found.gates],
        "approvals": written(found.approvals),
        "aliases": aliases(view, observed.body, ready=summary.ready is True),
    }
    details = dict(found.facts.details) if found.facts is not None else {}
    status: dict[str, Any] = {
        **{name: value for name, value in details.items() if name not in lists},
        **{name: entries for name, entries in lists.items() if entries},
        "shortDigest": short_digest(observed.artifact["digest"]),
        "observedGeneration": observed.generation,
        "conditions": conditions.conditions(before, summary, observed.generation, now, computed),
    }
    recorded = observed.written_status.get("approvals") or ()
    patience = conditions.patience(observed.written_status, summary, observed.generation)
    return Plan(
        status=status,
        events=(
            *approval_events(recorded, found.approvals, observed.approvals_policy),
            *_events(before, summary),
            *quarantine_events(before, computed),
        ),
        effects=effects,
        requeue_at=requeue_at,
        patience=patience if found.facts is None and not found.approvals.recorded else timedelta(0),
    )


def _events(before: Sequence[Mapping[str, Any]], summary: Summary) -> tuple[Event, ...]:
    """The event of the summary. Success has one only after a warning, or as one: else the conditions tell as much.

    Another cause with the same reason has one too: the state between the two may have been too short to be written. So
    has another rejection."""
    ready = next((condition for condition in before if condition["type"] == "Ready"), None)
    warned = ready is not None and ready["status"] == "False"
    if summary.progress is conditions.Progress.DONE and not warned and not summary.warning:
        return ()
    is_renewed = summary.warning or summary.reason == REJECTED
    if ready is not None and warned and is_renewed and ready["message"] != summary.message:
        return (summary.event,)
    return conditions.transition_events(before, summary)
