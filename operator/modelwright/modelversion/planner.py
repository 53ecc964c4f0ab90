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
from modelwright.common.report import with_notes
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, deleting, uid
from modelwright.engine.plan import Delete, Effect, Event, Plan
from modelwright.modelversion.aspects import aspects, quarantine_events
from modelwright.modelversion.facts import Facts, facts_in_status, facts_of_run, short_digest
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
        facts = facts_in_status(observed.written_status) or self._find_out(observed, now)
        if isinstance(facts, Pending):
            refused = first_problem(observed.refusals)
            summary = (
                facts.summary if refused is None else conditions.waiting(refused.reason, refused.message)
            )
            return _plan(observed, None, (), summary, now, facts.effects, facts.requeue_at)
        gates = judged_in_status(
            observed.spec, facts.details.get("gates") or () if facts.servable else (), by_run=facts.by_run
        )
        return _plan(observed, facts, gates, _summary(observed, facts, gates), now, _cleanup(observed, facts))

    def _find_out(self, observed: Observed, now: datetime) -> Facts | Pending:
        """The facts from the run or from the Job; Pending if there are none yet."""
        run = observed.run
        if run is not None and observed.job is None:
            if run.get("state") in UNFINISHED:
                summary = conditions.reconciling("Publishing", "the run that makes it is not finished")
                return Pending(summary)
            if vouched := facts_of_run(run, observed.spec):
                return vouched
        return verification(observed, self.settings, now)


def _summary(observed: Observed, facts: Facts, gates: Sequence[Judged]) -> Summary:
    """The summary of a ModelVersion whose facts are known."""
    reason, message = facts.verified.reason, facts.verified.message
    if not facts.servable:
        remedy = "delete this ModelVersion and write another one"
        return conditions.stalled(reason, f"{message.rstrip('.')}; {remedy}")
    if (withheld := judgement(observed, gates)) is not None:
        return withheld
    allowed = [f"gate {each.phrase} is inconclusive, which is allowed" for each in gates if each.is_allowed]
    return conditions.done(reason, with_notes(message, facts.details, allowed))


def _cleanup(observed: Observed, facts: Facts) -> tuple[Effect, ...]:
    """Deletes the Job once the file is verified. A failed Job is kept for its log."""
    if observed.job is None or not facts.servable or deleting(observed.job):
        return ()
    return (Delete(observed.job_key, uid(observed.job)),)


def _plan(
    observed: Observed,
    facts: Facts | None,
    gates: Sequence[Judged],
    summary: Summary,
    now: datetime,
    effects: tuple[Effect, ...],
    requeue_at: datetime | None = None,
) -> Plan:
    before, computed = observed.written_conditions, aspects(observed, facts, gates)
    status: dict[str, Any] = dict(facts.details) if facts is not None else {}
    status.pop("gates", None)
    if facts is not None and facts.servable and gates:
        status["gates"] = [each.written for each in gates]
    status["shortDigest"] = short_digest(observed.artifact["digest"])
    status["observedGeneration"] = observed.generation
    status["conditions"] = conditions.conditions(before, summary, observed.generation, now, computed)
    patience = conditions.patience(observed.written_status, summary, observed.generation)
    return Plan(
        status=status,
        events=(*_events(before, summary), *quarantine_events(before, computed)),
        effects=effects,
        requeue_at=requeue_at,
        patience=patience if facts is None else timedelta(0),
    )


def _events(before: Sequence[Mapping[str, Any]], summary: Summary) -> tuple[Event, ...]:
    """The event of the summary. Success has one only after a warning: else the conditions tell as much. Another cause
    with the same reason has one too: the state between the two may have been too short to be written."""
    ready = next((condition for condition in before if condition["type"] == "Ready"), None)
    warned = ready is not None and ready["status"] == "False"
    if summary.progress is conditions.Progress.DONE and not warned:
        return ()
    if ready is not None and warned and summary.warning and ready["message"] != summary.message:
        return (summary.event,)
    return conditions.transition_events(before, summary)
