"""Decides the next step of a ModelVersion. Pure.

Either the run that made it vouches for it (its publisher measured and verified the file), or a Job verifies the
file. Both happen once: the spec never changes, so what was found out stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from modelwright.api.base import Signature
from modelwright.api.modelversion import Metric, ModelVersionStatus, Parity
from modelwright.common import conditions
from modelwright.common.conditions import Aspect, Verdict
from modelwright.common.podstatus import Problem, failure, obstacle, step_result
from modelwright.common.resources import JOBS
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, deleting, uid
from modelwright.engine.plan import Delete, Effect, Plan
from modelwright.modelversion.objects import verify_job
from modelwright.modelversion.observed import Observed, job_name, observe

UNFINISHED = {"Pending", "Running"}
ARTIFACT_REASONS = {"ArtifactNotFound", "DigestMismatch"}


@dataclass(frozen=True)
class Decision:
    """How the ModelVersion stands, and what must be done for it."""

    verdict: Verdict
    aspects: tuple[Aspect, ...] = ()
    facts: ModelVersionStatus | None = None
    effects: tuple[Effect, ...] = ()


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
            return Plan(effects=_tidied(observed))
        return _as_plan(observed, self._decide(observed), now)

    def _decide(self, observed: Observed) -> Decision:
        if observed.run is not None and observed.job is None:
            return self._by_run(observed, observed.run)
        return self._by_job(observed)

    def _by_run(self, observed: Observed, run: Mapping[str, Any]) -> Decision:
        """The publisher verified the file after the upload; its TrainingJob tells what it measured."""
        if run["state"] in UNFINISHED:
            return Decision(conditions.reconciling("Publishing", "the run that makes it is not finished"))
        if (
            run["state"] != "Succeeded"
            or run.get("digest") != observed.artifact["digest"]
            or "report" not in run
        ):
            return self._by_job(observed)
        return _accepted(
            run["report"], "Measured", "Published", "the publisher verified the file after the upload"
        )

    def _by_job(self, observed: Observed) -> Decision:
        if observed.job is None:
            verdict = conditions.reconciling("Verifying", "a Job verifies the model file")
            return Decision(verdict, effects=(verify_job(observed, self.settings),))
        if result := next((r for pod in observed.pods if (r := step_result(pod, "verify"))), None):
            return _accepted(
                result, "Reported", "Verified", "the file has the digest and is a model that runs"
            )
        return _unfinished(observed)


def _unfinished(observed: Observed) -> Decision:
    job = observed.job or {}
    problem = next((found for pod in observed.pods if (found := failure(pod))), None)
    ended = next((c for c in job.get("status", {}).get("conditions") or () if c["status"] == "True"), None)
    if ended is not None and ended["type"] == "Failed":
        return _rejected(
            problem or Problem(str(ended.get("reason") or "JobFailed"), str(ended.get("message") or ""))
        )
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
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        return _rejected(
            Problem("ResultUnreadable", f"the report of the model file is unexpected at {where}")
        )
    parity = facts.parity.verdict if facts.parity else "Skipped"
    validated = (
        Aspect("Validated", True, "ParityPassed", "ONNX Runtime answers what the trainer's library predicts")
        if parity == "Pass"
        else Aspect("Validated", True, "ParitySkipped", "the trainer left no predictions to compare with")
    )
    aspects = (Aspect("ArtifactVerified", True, reason, message), validated)
    return Decision(conditions.done(reason, message), aspects, facts)


def _facts(report: Mapping[str, Any], source: Literal["Measured", "Reported"]) -> ModelVersionStatus:
    signature = dict(report["signature"])
    if "classes" in signature:
        signature["classes"] = [str(label) for label in signature["classes"]]
    metrics: Sequence[Mapping[str, Any]] = report.get("metrics") or ()
    return ModelVersionStatus(
        task=report.get("task"),
        signature=Signature.model_validate(signature),
        metrics=[Metric(name=metric["name"], value=metric["value"], source=source) for metric in metrics],
        parity=Parity.model_validate(report["parity"]) if "parity" in report else None,
    )


def _tidied(observed: Observed) -> tuple[Effect, ...]:
    """The Job has done its work when the model is good; a failed one is kept for its log."""
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in observed.status["conditions"])
    if observed.job is None or not ready or deleting(observed.job):
        return ()
    return (Delete(Key(JOBS, observed.namespace, job_name(observed.name)), uid(observed.job)),)


def _as_plan(observed: Observed, decision: Decision, now: datetime) -> Plan:
    before = observed.status.get("conditions") or []
    facts = decision.facts or ModelVersionStatus()
    status = facts.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"conditions"})
    status["observedGeneration"] = observed.generation
    status["conditions"] = conditions.conditions(
        before, decision.verdict, observed.generation, now, decision.aspects
    )
    return Plan(
        status=status, events=conditions.transition(before, decision.verdict), effects=decision.effects
    )
