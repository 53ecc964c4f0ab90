"""Decides the next step of a TrainingJob. Pure.

A run is written to status (Pending, with its number) before its Job is made, so a crash never doubles it; its
ModelVersion is made before the run is called Succeeded, so a crash never loses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from modelwright.api.trainingjob import Run, TrainingJobStatus
from modelwright.common import conditions
from modelwright.common.conditions import Verdict, standing
from modelwright.common.resources import JOBS, MODEL_VERSIONS, name
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, deleting, uid
from modelwright.engine.plan import Create, Delete, Effect, Plan
from modelwright.trainingjob.manifests import job_manifest, model_version_manifest, uses_default_claim
from modelwright.trainingjob.observed import Observed, observe
from modelwright.trainingjob.runs import TERMINAL, Published, Step, ended, progress, started
from modelwright.workload.jobs import end_is_due
from modelwright.workload.podstatus import Problem
from modelwright.workload.refusals import overruled
from modelwright.workload.store import default_claim

HISTORY = 10


@dataclass(frozen=True)
class Decision:
    """What becomes of the newest run, and what must be done for it."""

    run: Run
    verdict: Verdict
    effects: tuple[Effect, ...] = ()
    history: tuple[Run, ...] = ()
    requeue_at: datetime | None = None


@dataclass(frozen=True)
class TrainingJobPlanner:
    """Plans TrainingJobs with the administrator's settings."""

    settings: Settings

    def __call__(self, view: View, key: Key, now: datetime) -> Plan:
        """The next step."""
        observed = observe(view, key)
        if observed is None or deleting(observed.body):
            return Plan()
        decision = self._decide(observed, now)
        return _as_plan(observed, decision, now)

    def _decide(self, observed: Observed, now: datetime) -> Decision:
        run = observed.run
        if run is None:
            return self._begin(observed, ())
        if run.state in TERMINAL:
            if run.generation != observed.generation:
                return self._begin(observed, _remembered(observed.status.history, run))
            return Decision(run, _verdict_of_ended(run), history=tuple(observed.status.history))
        return self._follow(observed, run, now)

    def _begin(self, observed: Observed, history: tuple[Run, ...]) -> Decision:
        """A new run. Its number passes over versions that an earlier TrainingJob of this name made."""
        last = observed.run.number if observed.run else 0
        number = max(last, observed.highest_run) + 1
        run = Run(
            number=number, generation=observed.generation, state="Pending", job=f"{observed.name}-{number}"
        )
        verdict = conditions.reconciling("RunPending", f"run {number} starts")
        return Decision(run, verdict, self._start(observed, run), history)

    def _start(self, observed: Observed, run: Run) -> tuple[Effect, ...]:
        """Makes the Job, and the claim that it stores to when no other is named."""
        job = Create(Key(JOBS, observed.namespace, run.job), job_manifest(observed, run, self.settings))
        if uses_default_claim(observed, self.settings):
            return (default_claim(self.settings.claim, observed.namespace), job)
        return (job,)

    def _follow(self, observed: Observed, run: Run, now: datetime) -> Decision:
        found = progress(observed, run, now)
        decision = self._next(observed, run, found, now)
        published = observed.job is not None and standing(observed.job, "Complete") is not None
        if run.generation == observed.generation or published or decision.run.state in TERMINAL:
            return replace(decision, history=decision.history or tuple(observed.status.history))
        superseded = ended(
            run, now, "Superseded", reason="SpecChanged", message="the spec changed while it ran"
        )
        return self._begin(observed, _remembered(observed.status.history, superseded))

    def _next(
        self, observed: Observed, run: Run, found: Published | Problem | Step, now: datetime
    ) -> Decision:
        if isinstance(found, Problem):
            failed = ended(run, now, "Failed", reason=found.reason, message=found.message)
            return Decision(failed, _verdict_of_ended(failed))
        if observed.job is None:
            return Decision(
                run,
                conditions.reconciling("RunPending", f"run {run.number} starts"),
                self._start(observed, run),
            )
        run = started(run, observed.job, now)
        if isinstance(found, Published):
            return _register(observed, run, found, now)
        return Decision(run, _verdict_of_step(run, found), requeue_at=end_is_due(observed.job))


def _register(observed: Observed, run: Run, published: Published, now: datetime) -> Decision:
    """Makes the ModelVersion; the run has succeeded once it is there."""
    manifest = model_version_manifest(observed, run, published)
    if observed.version is None:
        verdict = conditions.reconciling("Registering", f"run {run.number} published its model")
        return Decision(run, verdict, (Create(Key(MODEL_VERSIONS, observed.namespace, run.job), manifest),))
    artifact = published.report.artifact
    if observed.version["spec"]["artifact"]["digest"] != artifact.digest:
        message = f"a ModelVersion {run.job} of another model file exists; change the spec to run again"
        failed = ended(run, now, "Failed", reason="ModelVersionExists", message=message)
        return Decision(failed, _verdict_of_ended(failed))
    report = published.report.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"artifact"})
    succeeded = ended(
        run, now, "Succeeded",
        model_version=run.job, digest=artifact.digest, data=published.data, report=report,
    )  # fmt: skip
    return Decision(succeeded, _verdict_of_ended(succeeded))


def _verdict_of_ended(run: Run) -> Verdict:
    if run.state == "Succeeded":
        return conditions.done("RunSucceeded", f"run {run.number} made ModelVersion {run.model_version}")
    return conditions.stalled(run.reason or "RunFailed", f"run {run.number}: {run.message or 'failed'}")


def _verdict_of_step(run: Run, step: Step) -> Verdict:
    if step.problem is not None:
        return conditions.waiting(step.problem.reason, f"run {run.number}: {step.problem.message}")
    reasons = {"fetch": "Fetching", "train": "Training", "publish": "Publishing"}
    if step.name in reasons:
        return conditions.reconciling(reasons[step.name], f"run {run.number}: step {step.name}")
    if step.failed is not None:
        return conditions.waiting("Retrying", f"run {run.number} is tried again after {step.failed.message}")
    return conditions.reconciling("RunStarted", f"run {run.number}: Job {run.job} starts its pod")


def _remembered(history: Sequence[Run], run: Run) -> tuple[Run, ...]:
    """The history with one run more. Its report stays: ModelVersions read there what was measured."""
    return (run, *history)[:HISTORY]


def _as_plan(observed: Observed, decision: Decision, now: datetime) -> Plan:
    before = observed.written_conditions
    run = decision.run
    status = TrainingJobStatus(
        observed_generation=observed.generation,
        model=observed.model,
        run=run,
        latest_model_version=run.model_version or observed.status.latest_model_version,
        history=list(decision.history),
    ).model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"conditions"})
    if not decision.history:
        status.pop("history", None)
    verdict = overruled(decision.verdict, observed.refusals)
    status["conditions"] = conditions.conditions(before, verdict, observed.generation, now)
    outdated = (job for job in observed.jobs if name(job) != run.job and not deleting(job))
    deletions = tuple(Delete(Key(JOBS, observed.namespace, name(job)), uid(job)) for job in outdated)
    return Plan(
        status=status,
        events=conditions.transition(before, verdict),
        effects=(*deletions, *decision.effects),
        requeue_at=decision.requeue_at,
    )
