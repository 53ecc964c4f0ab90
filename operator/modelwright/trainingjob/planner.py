"""Plans a TrainingJob. Pure.

A run is in the status (Pending, with its number) before its Job is created, so a crash never starts it twice. Its
ModelVersion is created before the run is Succeeded, so a crash never loses the model. Old ModelVersions are deleted
beside that, whatever the state of the run: see retirement.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from modelwright.api.rundocument import terms_hash
from modelwright.api.trainingjob import Run, TrainingJobStatus
from modelwright.api.triggers import Cause
from modelwright.common import conditions
from modelwright.common.conditions import Summary, true_condition
from modelwright.common.reading import read_each
from modelwright.common.resources import JOBS, MODEL_VERSIONS, TRAINING_JOB
from modelwright.common.settings import Settings
from modelwright.common.times import to_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, deleting, labels, name, uid
from modelwright.engine.plan import Confirm, Create, Delete, Effect, Plan, deletions
from modelwright.trainingjob.manifests import (
    champion_ref,
    demands,
    document_size,
    has_other_stores,
    job_manifest,
    model_version_manifest,
    template_of,
    uses_default_claim,
    waits_for_volumes,
)
from modelwright.trainingjob.memory import HISTORY, is_outdated, recipe_hash
from modelwright.trainingjob.observed import Observed, observe
from modelwright.trainingjob.retirement import Retirement, refusals_of_retirement, retirement
from modelwright.trainingjob.runs import (
    DOCUMENT_LIMIT,
    TERMINAL,
    Published,
    at_step,
    document_in,
    ended,
    is_unchanged,
    postponed,
    published,
    queued,
    started,
    summary_of_ended,
    summary_of_progress,
    summary_of_skipped,
    summary_of_waiting,
    work,
)
from modelwright.trainingjob.triggers.decision import Choice, count_of
from modelwright.trainingjob.triggers.probing import refusals_of_look
from modelwright.trainingjob.triggers.signals import Trouble
from modelwright.trainingjob.triggers.weighing import Weighed, failed_at_once, weigh
from modelwright.workload.following import (
    Deleted,
    Ended,
    Ending,
    Failed,
    Failing,
    NotSeen,
    Postponed,
    Progress,
    Running,
    Starting,
    Suspended,
    follow,
)
from modelwright.workload.podstatus import Problem, has_begun
from modelwright.workload.podtemplate import has_other_pods, queue_labels
from modelwright.workload.refusals import with_refusals
from modelwright.workload.signatures import named
from modelwright.workload.store import default_claim

UNWEIGHED = Weighed(None)
# How many runs that were skipped or replaced the history keeps.
SKIPPED = 2
# The reason of a run in whose place a trigger has started another one.
REPLACED = "Replaced"
RUN_AGAIN = "change the spec to run again"
# What makes up most of a report, and Ready of a version does not depend on.
TABLES = frozenset(("evaluation", "importance", "fairness", "libraries"))


@dataclass(frozen=True)
class RunPlan:
    """The next state of the newest run, and the effects for it.

    `summary`: None leaves the status unchanged, because the state of the run is not known yet. `previous`: the run
    before it, which goes into the history.
    """

    run: Run | None
    summary: Summary | None
    effects: tuple[Effect, ...] = ()
    requeue_at: datetime | None = None
    previous: Run | None = None


@dataclass(frozen=True)
class TrainingJobPlanner:
    """Plans TrainingJobs with the administrator's settings."""

    settings: Settings

    def __call__(self, view: View, key: Key, now: datetime) -> Plan:
        """Returns the plan of a TrainingJob."""
        observed = observe(view, key)
        if observed is None or deleting(observed.body):
            return Plan()
        retired = retirement(view, observed, self.settings, now)
        decision = self._decide(observed, now)
        if decision.summary is None:
            return _as_plan(observed, decision, retired, UNWEIGHED, now)
        weighed = weigh(observed, decision.run, decision.previous, self.settings, now)
        if weighed.choice is not None and weighed.choice.cause is not None and decision.run is not None:
            decision = self._chosen(observed, decision.run, weighed.choice, now)
            if decision.run is not None and decision.run.state == "Failed":
                weighed = failed_at_once(weighed)
        return _as_plan(observed, decision, retired, weighed, now)

    def _decide(self, observed: Observed, now: datetime) -> RunPlan:
        run = observed.run
        if run is None:
            return _clear_strays(observed) or self._begin(observed, now)
        if run.state not in TERMINAL:
            return self._follow(observed, run, now)
        if run.generation != observed.generation or _is_mended(observed, run):
            return self._begin(observed, now, run)
        # Nothing in the Job of a run that was skipped is worth an alert about failed Jobs.
        over = [observed.job] if run.state == "Skipped" and observed.job is not None else []
        return RunPlan(run, _summary_of_terminal(observed, run), tuple(deletions(JOBS, over)))

    def _chosen(self, observed: Observed, before: Run, choice: Choice, now: datetime) -> RunPlan:
        """Starts the run that a trigger has chosen, in the place of one that is under way if there is one."""
        if before.state not in TERMINAL:
            message = "a trigger started another run, and concurrencyPolicy is Replace"
            before = ended(before, now, "Superseded", reason=REPLACED, message=message)
        known = None if choice.force else observed.known_digest
        return self._begin(observed, now, before, choice.cause, known)

    def _begin(
        self,
        observed: Observed,
        now: datetime,
        before: Run | None = None,
        cause: Cause | None = None,
        known_digest: str | None = None,
    ) -> RunPlan:
        """Starts a new run. Its number is higher than that of any run that has left an object.

        `cause`: None for a change of the recipe. `known_digest`: that of data with which it ends before training.
        """
        number = observed.memory.last_number + 1
        job = f"{observed.name}-{number}"
        run = Run(
            number=number,
            generation=observed.generation,
            recipe_hash=recipe_hash(observed.body),
            cause=cause or Cause(trigger="SpecChange", at=to_timestamp(now)),
            known_digest=known_digest,
            state="Pending",
            job=job,
            champion=champion_ref(observed.champion),
        )
        size = document_size(observed, run, self.settings)
        if size <= DOCUMENT_LIMIT:
            return RunPlan(run, summary_of_waiting(run), self._start(observed, run), previous=before)
        message = (
            f"its recipe has {size} bytes as JSON, and a run takes at most {DOCUMENT_LIMIT}: name fewer columns and "
            f"values in data.schema; {RUN_AGAIN}"
        )
        return replace(_failed(run, Problem("SpecTooLarge", message), now), previous=before)

    def _start(self, observed: Observed, run: Run) -> tuple[Effect, ...]:
        """Creates the Job, and the default claim if the model is stored there."""
        job = Create(observed.job_key(run), job_manifest(observed, run, self.settings))
        if uses_default_claim(observed, self.settings):
            return (default_claim(self.settings.claim, observed.namespace), job)
        return (job,)

    def _follow(self, observed: Observed, run: Run, now: datetime) -> RunPlan:
        """Follows a run.

        If the spec has changed, a new run supersedes it, unless it has ended or its Job is complete.
        """
        decision = self._next(observed, run, follow(work(observed, run), now), now)
        complete = observed.job is not None and true_condition(observed.job, "Complete") is not None
        if run.generation == observed.generation or complete:
            return decision
        if decision.run is not None and decision.run.state in TERMINAL:
            return decision
        superseded = ended(
            run, now, "Superseded", reason="SpecChanged", message="the spec changed while it ran"
        )
        return self._begin(observed, now, superseded)

    def _next(self, observed: Observed, run: Run, progress: Progress, now: datetime) -> RunPlan:
        if observed.job is not None:
            return self._with_job(observed, run, observed.job, progress, now)
        match progress:
            case NotSeen():
                return RunPlan(run, None, (Confirm(observed.job_key(run)),))
            case Deleted():
                message = f"Job {run.job} was deleted while it ran; {RUN_AGAIN}"
                return _failed(run, Problem("JobDeleted", message), now)
            case _:
                run = run.model_copy(update={"champion": champion_ref(observed.champion)})
                return RunPlan(run, summary_of_waiting(run), self._start(observed, run))

    def _with_job(
        self, observed: Observed, run: Run, job: Body, progress: Progress, now: datetime
    ) -> RunPlan:
        if deleting(job) and run.state == "Pending" and isinstance(progress, Starting | Suspended):
            return RunPlan(run, summary_of_waiting(run))  # what follows is decided when it is gone
        if self._is_to_be_made_again(observed, run, job, progress):
            # Nothing is lost with it: the next Job is of the spec of today.
            fields = dict.fromkeys(("step", "reason", "message"))
            run = run.model_copy(update={"state": "Pending", **fields})
            return RunPlan(run, summary_of_waiting(run), (Delete(observed.job_key(run), uid(job)),))
        if isinstance(progress, Suspended) and progress.queue is not None:
            run = queued(run, job, progress.queue)
            return RunPlan(run, summary_of_progress(run, progress))
        return _with_job(observed, started(run, job, now), job, progress, now)

    def _is_to_be_made_again(self, observed: Observed, run: Run, job: Body, progress: Progress) -> bool:
        """True if no container of the Job has begun, and something else is said of its pods or its queue by now."""
        if not isinstance(progress, Starting | Suspended) or run.step is not None:
            return False
        if any(has_begun(pod) for pod in observed.pods):
            return False
        return has_other_pods(job, template_of(observed, self.settings), queue_labels(observed.body))


def _with_job(observed: Observed, run: Run, job: Body, progress: Progress, now: datetime) -> RunPlan:
    match progress:
        case Ended():
            return _register(observed, run, job, published(progress, job), now)
        case Failed(problem):
            return _ended_badly(observed, run, job, problem, now)
        case Postponed(problem, retry_at):
            run = postponed(run, problem)
            is_due = now >= retry_at or is_outdated(job, observed.body)
            deletion = (Delete(observed.job_key(run), uid(job)),) if is_due else ()
            return RunPlan(run, summary_of_waiting(run), deletion, retry_at)
        case Starting(problem) if is_outdated(job, observed.body) and (problem or waits_for_volumes(job)):
            # Nothing is lost with it: the next Job is of the spec of today.
            run = run.model_copy(update={"state": "Pending", "step": None})
            return RunPlan(run, summary_of_waiting(run), (Delete(observed.job_key(run), uid(job)),))
        case Ending(until, complete):
            summary = summary_of_progress(run, Running("publish")) if complete else None
            return RunPlan(run, summary, requeue_at=until)
        case Failing(problem) if is_unchanged(problem):
            progress = Running("fetch")
        case Running(step):
            run = at_step(run, step)
    return RunPlan(run, summary_of_progress(run, progress, _needs(observed.spec)))


def _ended_badly(observed: Observed, run: Run, job: Body, problem: Problem, now: datetime) -> RunPlan:
    """The end of a run whose Job has failed, or whose pod is gone."""
    if problem.reason == "ResultLost":
        return _by_version(observed, run, job, now)
    if is_unchanged(problem) and run.known_digest is not None:
        skipped = ended(run, now, "Skipped", reason=problem.reason, message=problem.message)
        # The run that the state is of then, and its version, are those of the next look.
        return RunPlan(skipped, summary_of_progress(run, Running("fetch"), _needs(observed.spec)))
    return _failed(run, problem, now)


def _summary_of_terminal(observed: Observed, run: Run) -> Summary:
    """The summary when the newest run has ended."""
    if run.state != "Skipped":
        return summary_of_ended(run, observed.version)
    return summary_of_skipped(run, observed.real_run, observed.version)


def _is_mended(observed: Observed, run: Run) -> bool:
    """True if a run has failed and the spec says something else of stores now. That is no part of the recipe."""
    job = observed.job
    if run.state != "Failed" or job is None:
        return False
    return is_outdated(job, observed.body) and has_other_stores(job, observed.spec)


def _needs(spec: Mapping[str, Any]) -> str | None:
    """What the pod of a run waits for if it is not there: Secrets of which it mounts all that the spec names."""
    signing, source = spec.get("signing"), spec["data"].get("source") or {}
    needs = [named(signing["keySecretRef"])] if signing else []
    if source.get("secretRef"):
        needs.append(f"Secret {source['secretRef']['name']} of data.source")
    for volume in spec["trainer"].get("volumes") or ():
        secret, config_map = volume.get("secret"), volume.get("configMap")
        if secret and not secret.get("optional"):
            needs.append(f"Secret {secret['secretName']} of trainer.volumes")
        if config_map and not config_map.get("optional"):
            needs.append(f"ConfigMap {config_map['name']} of trainer.volumes")
    return " and the ".join(needs) or None


def _register(observed: Observed, run: Run, job: Body, result: Published | Problem, now: datetime) -> RunPlan:
    """Creates the ModelVersion; the run is Succeeded once that exists."""
    if isinstance(result, Problem):
        return _failed(run, result, now)
    manifest = _manifest(observed, run, job, result)
    if isinstance(manifest, Problem):
        return _failed(run, manifest, now)
    if observed.version is None:
        summary = conditions.reconciling("Registering", f"run {run.number} published its model")
        return RunPlan(run, summary, (Create(Key(MODEL_VERSIONS, observed.namespace, run.job), manifest),))
    if observed.version["spec"]["artifact"]["digest"] != result.report.artifact.digest:
        return _failed(run, _exists(run, "it is of another model file"), now)
    if difference := _difference(observed.version, run, job, result.document):
        return _failed(run, _exists(run, difference), now)
    report = result.report.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"artifact"})
    return _succeeded(observed.version, run, now, data=result.data, report=report)


def _manifest(observed: Observed, run: Run, job: Body, result: Published) -> Body | Problem:
    """The ModelVersion of the run. A Job without an owner may hold any document."""
    written = read_each((job,), lambda job: model_version_manifest(observed, run, job, result))
    unreadable = Problem(
        "ResultUnreadable", f"the run document in Job {run.job} is not complete; {RUN_AGAIN}"
    )
    return next((manifest for _, manifest in written), unreadable)


def _difference(version: Body, run: Run, job: Body, document: Mapping[str, Any]) -> str | None:
    """What of a ModelVersion is not as the run writes it, as a clause; None if it is the run's own.

    What the run writes follows from its Job. So the version that was made before a crash is its own, whatever the spec
    says by now.
    """
    spec = version["spec"]
    lineage = spec.get("lineage") or {}
    if (lineage.get("trainingJob"), lineage.get("run")) != (document.get("trainingJob"), run.number):
        return "its lineage names another run"
    if spec.get("evaluate") or terms_hash(spec) != terms_hash(demands(job, document)):
        return "it has other gates than the run, or needs other approvals"
    return None


def _exists(run: Run, difference: str) -> Problem:
    message = f"a ModelVersion {run.job} exists that this run has not made: {difference}; {RUN_AGAIN}"
    return Problem("ModelVersionExists", f"{message}, and the next version has another name")


def _by_version(observed: Observed, run: Run, job: Body, now: datetime) -> RunPlan:
    """The end of a run whose pod was deleted before its result was read: Succeeded if its ModelVersion exists."""
    version, document = observed.version, document_in(job)
    ours = version is not None and labels(version).get(TRAINING_JOB) == observed.name
    if version is not None and ours and document is not None:
        difference = _difference(version, run, job, document)
        if difference is None:
            return _succeeded(version, run, now)
        return _failed(run, _exists(run, difference), now)
    message = f"the pod was deleted before its result was read; {RUN_AGAIN}"
    return _failed(run, Problem("ResultLost", message), now)


def _succeeded(version: Body, run: Run, now: datetime, **parts: object) -> RunPlan:
    spec = version["spec"]
    known = {"model_version": run.job, "digest": spec["artifact"]["digest"], "terms_hash": terms_hash(spec)}
    succeeded = ended(run, now, "Succeeded", **known, **parts)
    return RunPlan(succeeded, summary_of_ended(succeeded, version))


def _failed(run: Run, problem: Problem, now: datetime) -> RunPlan:
    failed = ended(run, now, "Failed", reason=problem.reason, message=problem.message)
    return RunPlan(failed, summary_of_ended(failed))


def _clear_strays(observed: Observed) -> RunPlan | None:
    """Without a known run: deletes Jobs without an owner that still run another recipe; None if there are none."""
    running = [
        job
        for job in observed.memory.strays
        if not (true_condition(job, "Complete") or true_condition(job, "Failed"))
    ]
    if not running:
        return None
    names = ", ".join(name(job) for job in running)
    summary = conditions.reconciling(
        "RunPending", f"Jobs of an earlier TrainingJob of this name go first: {names}"
    )
    return RunPlan(None, summary, tuple(deletions(JOBS, running)))


def _without_tables(observed: Observed, run: Run) -> Run:
    """An earlier run without the tables of its report, once the status of its ModelVersion holds them.

    The rest stays: it vouches for a ModelVersion that is restored without its status, and for its gates.
    """
    if run.report is None or run.job in observed.unread:
        return run
    return run.model_copy(update={"report": {k: v for k, v in run.report.items() if k not in TABLES}})


def _kept(earlier: Sequence[Run]) -> Iterator[Run]:
    """The runs that the history keeps: of those that were skipped or replaced, only the newest ones."""
    made_nothing = 0
    for run in earlier:
        is_one = run.state == "Skipped" or run.reason == REPLACED
        made_nothing += is_one
        if not is_one or made_nothing <= SKIPPED:
            yield run


def _as_plan(
    observed: Observed, decision: RunPlan, retired: Retirement, weighed: Weighed, now: datetime
) -> Plan:
    run, memory = decision.run, observed.memory
    outdated = [
        job
        for job in observed.jobs
        if (job is not observed.job or run is None or name(job) != run.job) and name(job) not in retired.jobs
    ]
    effects = (*deletions(JOBS, outdated), *decision.effects)
    if decision.summary is None:
        return Plan(effects=effects, requeue_at=decision.requeue_at)
    earlier = (decision.previous, *memory.history) if decision.previous else memory.history
    history = [_without_tables(observed, before) for before in islice(_kept(earlier), HISTORY)]
    status = TrainingJobStatus(
        observed_generation=observed.generation,
        model=observed.model,
        run=run,
        latest_model_version=(run.model_version if run else None) or memory.latest_model_version,
        history=history,
        triggers=weighed.status,
        retiring=list(retired.retiring) or None,
    ).model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"conditions"})
    for name_of_part in ("history", "triggers"):
        if not status.get(name_of_part):
            status.pop(name_of_part, None)
    before = observed.written_conditions
    unrelated = (*refusals_of_retirement(observed), *refusals_of_look(observed))
    refusals = (refusal for refusal in observed.refusals if refusal not in unrelated)
    summary = with_refusals(_with_troubles(decision.summary, weighed.troubles), refusals)
    aspects = (*retired.aspects, *weighed.aspects)
    status["conditions"] = conditions.conditions(before, summary, observed.generation, now, aspects)
    moments = (decision.requeue_at, retired.requeue_at, weighed.requeue_at)
    times = (moment for moment in moments if moment is not None)
    return Plan(
        status=status,
        events=(*conditions.transition_events(before, summary), *retired.events, *weighed.events),
        counts=tuple(map(count_of, weighed.decisions)),
        effects=(*effects, *retired.effects, *weighed.effects),
        requeue_at=min(times, default=None),
    )


def _with_troubles(summary: Summary, troubles: Iterable[Trouble]) -> Summary:
    """The summary; Stalled if all else is done, and the schedule can never come."""
    invalid = next((each for each in troubles if each.reason == "InvalidSchedule"), None)
    if invalid is None or summary.progress is not conditions.Progress.DONE:
        return summary
    return conditions.stalled(invalid.reason, f"{invalid.message}; {summary.message}")
