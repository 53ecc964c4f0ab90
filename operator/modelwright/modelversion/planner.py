"""Decides the next step of a ModelVersion. Pure.

Either the run that made it vouches for it (its publisher measured and verified the file), or a Job verifies the
file. Both happen once: the spec never changes, so what was found out stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from modelwright.api.modelversion import Metric, ModelVersionStatus
from modelwright.common import conditions
from modelwright.common.conditions import Aspect, Verdict, standing
from modelwright.common.report import FileReport, first_fault
from modelwright.common.resources import JOBS
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, deleting, uid
from modelwright.engine.plan import Delete, Effect, Plan
from modelwright.modelversion.manifests import verify_job
from modelwright.modelversion.observed import Observed, job_name, observe
from modelwright.modelversion.quarantine import marked, quarantine
from modelwright.workload.jobs import due
from modelwright.workload.podstatus import Problem, failure, obstacle, step_result
from modelwright.workload.refusals import overruled

UNFINISHED = {"Pending", "Running"}
ARTIFACT_REASONS = {"ArtifactNotFound", "DigestMismatch"}


@dataclass(frozen=True)
class Decision:
    """How the ModelVersion stands, and what must be done for it."""

    verdict: Verdict
    aspects: tuple[Aspect, ...] = ()
    facts: ModelVersionStatus | None = None
    effects: tuple[Effect, ...] = ()
    requeue_at: datetime | None = None


@dataclass(frozen=True)
class ModelVersionPlanner:
    """Plans ModelVersions with the administrator's settings."""

    settings: Settings

    def __call__(self, view: View, key: Key, now: datetime) -> Plan:
        """The next step."""
        observed = observe(view, key)
        if observed is None or deleting(observed.body):
            return Plan()
        if observed.settled:
            aspect = quarantine(view, observed.namespace, observed.artifact["digest"])
            status, events = marked(observed.body, aspect, now)
            return Plan(status=status, events=events, effects=_tidied(observed))
        return _as_plan(observed, self._decide(observed, now), now)

    def _decide(self, observed: Observed, now: datetime) -> Decision:
        if observed.run is not None and observed.job is None:
            return self._by_run(observed, observed.run, now)
        return self._by_job(observed, now)

    def _by_run(self, observed: Observed, run: Mapping[str, Any], now: datetime) -> Decision:
        """The publisher verified the file after the upload; its TrainingJob tells what it measured."""
        if run["state"] in UNFINISHED:
            return Decision(conditions.reconciling("Publishing", "the run that makes it is not finished"))
        if (
            run["state"] != "Succeeded"
            or run.get("digest") != observed.artifact["digest"]
            or "report" not in run
        ):
            return self._by_job(observed, now)
        return _accepted(
            run["report"], "Measured", "Published", "the publisher verified the file after the upload"
        )

    def _by_job(self, observed: Observed, now: datetime) -> Decision:
        if observed.job is None:
            verdict = conditions.reconciling("Verifying", "a Job verifies the model file")
            return Decision(verdict, effects=(verify_job(observed, self.settings),))
        if result := next((r for pod in observed.pods if (r := step_result(pod, "verify"))), None):
            return _accepted(
                result, "Reported", "Verified", "the file has the digest and is a model that runs"
            )
        if end := standing(observed.job, "Complete") or standing(observed.job, "Failed"):
            return _ended(observed, end, now)
        return _under_way(observed)


def _ended(observed: Observed, end: Mapping[str, Any], now: datetime) -> Decision:
    """The Job has ended without a result: its pods may still tell why."""
    succeeded = end["type"] == "Complete"
    if not succeeded and (words := next((p for pod in observed.pods if (p := failure(pod))), None)):
        return _rejected(words)
    if now < due(end):
        return replace(_under_way(observed), requeue_at=due(end))
    if succeeded:
        return _rejected(Problem("ResultLost", "the pod was deleted before its result was read"))
    message = f"the Job failed: {end.get('message') or 'no reason given'}"
    return _rejected(Problem(str(end.get("reason") or "JobFailed"), message))


def _under_way(observed: Observed) -> Decision:
    obstructed = next((found for pod in observed.pods if (found := obstacle(pod))), None)
    if obstructed is not None:
        return Decision(conditions.waiting(obstructed.reason, obstructed.message))
    return Decision(conditions.reconciling("Verifying", "a Job verifies the model file"))


def _rejected(problem: Problem) -> Decision:
    message = f"{problem.message}; delete this ModelVersion and write a new one once that is mended"
    kept = problem.reason not in ARTIFACT_REASONS
    verified = Aspect("ArtifactVerified", None if kept else False, problem.reason, problem.message)
    validated = Aspect("Validated", False, problem.reason, problem.message)
    return Decision(conditions.stalled(problem.reason, message), (verified, validated))


def _accepted(
    report: Mapping[str, Any], source: Literal["Measured", "Reported"], reason: str, message: str
) -> Decision:
    try:
        facts = _facts(report, source)
    except ValidationError as error:
        message = f"the report of the model file is unexpected at {first_fault(error)}"
        return _rejected(Problem("ResultUnreadable", message))
    parity = facts.parity.verdict if facts.parity else "Skipped"
    validated = (
        Aspect("Validated", True, "ParityPassed", "ONNX Runtime answers what the trainer's library predicts")
        if parity == "Pass"
        else Aspect("Validated", True, "ParitySkipped", "the trainer left no predictions to compare with")
    )
    aspects = (Aspect("ArtifactVerified", True, reason, message), validated)
    return Decision(conditions.done(reason, message), aspects, facts)


def _facts(report: Mapping[str, Any], source: Literal["Measured", "Reported"]) -> ModelVersionStatus:
    found = FileReport.model_validate(report)
    # One value per name, as the list of the CRD has it: a report that somebody else wrote may name one twice.
    metrics = {metric.name: metric.value for metric in found.metrics}
    return ModelVersionStatus(
        task=found.task,
        signature=found.signature,
        metrics=[Metric(name=name, value=value, source=source) for name, value in metrics.items()],
        parity=found.parity,
    )


def _tidied(observed: Observed) -> tuple[Effect, ...]:
    """The Job has done its work when the model is good; a failed one is kept for its log."""
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in observed.written_conditions)
    if observed.job is None or not ready or deleting(observed.job):
        return ()
    return (Delete(Key(JOBS, observed.namespace, job_name(observed.name)), uid(observed.job)),)


def _as_plan(observed: Observed, decision: Decision, now: datetime) -> Plan:
    before = observed.written_conditions
    facts = decision.facts or ModelVersionStatus()
    status = facts.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"conditions"})
    status["observedGeneration"] = observed.generation
    verdict = overruled(decision.verdict, observed.refusals)
    status["conditions"] = conditions.conditions(before, verdict, observed.generation, now, decision.aspects)
    return Plan(
        status=status,
        events=conditions.transition(before, verdict),
        effects=decision.effects,
        requeue_at=decision.requeue_at,
    )
