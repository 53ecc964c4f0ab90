"""Deletes the ModelVersions of a TrainingJob that nothing keeps, and their files if that is asked for. Pure.

A crash between any two steps loses nothing that is needed, and forgets nothing:

1. The status lists the version in `retiring`. From then on services that follow the family pass it over.
2. After `GRACE`, when all earlier plans have been executed, the operator reads the InferenceServices once more from the
   API server. If still nothing keeps the version, it is deleted, with its uid and resource version as preconditions.
3. If its file is to go as well, the operator reads ModelVersions and InferenceServices once more, of all namespaces if
   the file is outside the cluster, and creates a Job that deletes the file. The entry leaves the status when the Job is
   complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelwright.api.stores import Artifact
from modelwright.api.trainingjob import RetiringVersion, TrainingJobStatus
from modelwright.common.conditions import Aspect, true_condition
from modelwright.common.reading import read_each, read_valid
from modelwright.common.resources import INFERENCE_SERVICES, JOBS, MODEL_VERSIONS
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, controller, deleting, metadata, name, owned_by, uid
from modelwright.engine.plan import Create, Delete, Effect, Event
from modelwright.engine.refusal import Refusal
from modelwright.trainingjob.manifests import DELETE_STEP, delete_job_manifest
from modelwright.trainingjob.observed import Observed, pods_of
from modelwright.trainingjob.retention import (
    Objection,
    file_objection,
    made_by,
    namesake,
    objection,
    users_of,
)
from modelwright.trainingjob.runs import TERMINAL
from modelwright.workload.following import Ended, Ending, Failed, Postponed, Starting, Work, follow, next_try
from modelwright.workload.podstatus import Problem
from modelwright.workload.refusals import first_problem

HISTORY_LIMIT_EXCEEDED = "HistoryLimitExceeded"
# The most versions that are deleted at the same time.
MOST = 10
# Longer than any write of a plan takes that was made before the version was listed in `retiring`.
GRACE = timedelta(seconds=30)
# How long the file of a version is tried to be deleted where the store does not allow it: others wait for their turn.
PATIENCE = timedelta(hours=1)
# The message of the condition names at most this many versions.
NAMED = 5


@dataclass(frozen=True)
class Retirement:
    """The versions that are being deleted after this plan, the effects, and what to report."""

    retiring: tuple[RetiringVersion, ...] = ()
    effects: tuple[Effect, ...] = ()
    events: tuple[Event, ...] = ()
    aspects: tuple[Aspect, ...] = ()
    requeue_at: datetime | None = None

    @property
    def jobs(self) -> frozenset[str]:
        """The names of the Jobs that delete files."""
        return frozenset(job_name(entry) for entry in self.retiring)


@dataclass(frozen=True)
class _Step:
    """What comes next for one version. `entry`: None if nothing is left to do. `note`: what it waits for."""

    entry: RetiringVersion | None
    effects: tuple[Effect, ...] = ()
    events: tuple[Event, ...] = ()
    note: str | None = None
    requeue_at: datetime | None = None


def job_name(entry: RetiringVersion) -> str:
    """The name of the Job that deletes the file of a version: at most 63 characters."""
    return f"{entry.name}-delete"


def retirement(view: View, observed: Observed, settings: Settings, now: datetime) -> Retirement:
    """Returns the next steps for the versions beyond `versionsHistoryLimit`."""
    entries = _entries(observed)
    if view.blindness(MODEL_VERSIONS, observed.namespace) is not None:
        return Retirement(tuple(entries))  # a version that is not seen may be there
    made = made_by(view, observed.body)
    surplus = made.beyond(observed.spec.get("versionsHistoryLimit", 20))
    if not surplus and not entries:
        return Retirement()
    why = {name(version): objection(view, version, made.versions, now) for version in surplus}
    context = _Context(view, observed, settings, now, why)
    steps = [_next(context, entry) for entry in entries]
    listed = {entry.name for entry in entries}
    free = (each for each in reversed(surplus) if name(each) not in listed and why[name(each)] is None)
    # A version that a later release has written stays, if this one cannot read where its file is.
    begun = [entry for _, entry in read_each(free, lambda version: _begun(observed, version, now))]
    room = MOST - sum(step.entry is not None for step in steps)
    steps += [_Step(entry, requeue_at=now + GRACE) for entry in begun[:room]]
    kept = {name: reason for name, reason in why.items() if reason is not None}
    times = [step.requeue_at for step in steps] + [reason.until for reason in kept.values()]
    return Retirement(
        retiring=tuple(step.entry for step in steps if step.entry is not None),
        effects=tuple(effect for step in steps for effect in step.effects),
        events=tuple(event for step in steps for event in step.events),
        aspects=_aspects(observed, kept, steps),
        requeue_at=min((moment for moment in times if moment is not None), default=None),
    )


@dataclass(frozen=True)
class _Context:
    """What the steps of all versions have in common. `why`: the versions beyond the limit, and what keeps each."""

    view: View
    observed: Observed
    settings: Settings
    now: datetime
    why: Mapping[str, Objection | None]


def _entries(observed: Observed) -> list[RetiringVersion]:
    return read_valid(TrainingJobStatus, observed.written_status).retiring or []


def _begun(observed: Observed, version: Body, now: datetime) -> RetiringVersion:
    file = version["spec"]["artifact"]
    gone = Artifact.model_validate(file) if _deletes_files(observed, str(file["uri"])) else None
    return RetiringVersion(name=name(version), since=to_timestamp(now), artifact=gone)


def _deletes_files(observed: Observed, uri: str) -> bool:
    """True if the file of a version is to go as well. A registry deletes by its own rules."""
    is_asked = (observed.spec.get("artifacts") or {}).get("deletionPolicy") == "Delete"
    return is_asked and not uri.startswith("oci://")


def _next(context: _Context, entry: RetiringVersion) -> _Step:
    """The next step for a version that is listed in `retiring`."""
    version = context.view.get(Key(MODEL_VERSIONS, context.observed.namespace, entry.name))
    if version is None:
        return _without_version(context, entry)
    if deleting(version):
        return _Step(entry, note=f"ModelVersion {entry.name} is being deleted; a finalizer holds it")
    return _with_version(context, entry, version)


def _with_version(context: _Context, entry: RetiringVersion, version: Body) -> _Step:
    why = context.why.get(entry.name, Objection("it is within the limit"))
    if why is not None:
        return _Step(None) if why.until is None else _Step(entry, requeue_at=why.until)
    due = from_timestamp(entry.since) + GRACE
    if context.now < due:
        return _Step(entry, requeue_at=due)
    key = Key(MODEL_VERSIONS, context.observed.namespace, entry.name)
    version_seen = str(metadata(version)["resourceVersion"])
    return _Step(entry, (Delete(key, uid(version), version_seen, rests_on=(INFERENCE_SERVICES,)),))


def _without_version(context: _Context, entry: RetiringVersion) -> _Step:
    """The next step when the version is gone."""
    limit = context.observed.spec.get("versionsHistoryLimit", 20)
    deleted = f"ModelVersion {entry.name} was deleted: versionsHistoryLimit is {limit}"
    file = entry.artifact
    if file is None or not _deletes_files(context.observed, file.uri):
        return _Step(None, events=(Event("Normal", "VersionRetired", f"{deleted}; its file stays"),))
    artifact = file.model_dump(mode="json", by_alias=True, exclude_none=True)
    where = context.observed.namespace
    job = _job_of(context, entry)
    if other := namesake(context.view, where, artifact):
        message = f"{deleted}; its file stays, as ModelVersion {other} has the same one"
        return _Step(None, events=(Event("Normal", "VersionRetired", message),))
    if why := file_objection(context.view, where, artifact, context.now):
        note = f"the file of ModelVersion {entry.name} is kept for now: {why.message}"
        at = why.until or context.now + timedelta(minutes=10)
        return _Step(entry, _deletion(context, job), note=note, requeue_at=at)
    if job is None:
        return _Step(entry, (_new_job(context, entry, artifact),))
    return _followed(context, entry, job, deleted)


def _job_of(context: _Context, entry: RetiringVersion) -> Body | None:
    """The Job that deletes the file; also one that a backup tool has restored without its owner."""
    job = context.view.get(Key(JOBS, context.observed.namespace, job_name(entry)))
    ours = job is not None and (controller(job) is None or owned_by(job, context.observed.body))
    return job if ours else None


def _new_job(context: _Context, entry: RetiringVersion, artifact: Mapping[str, Any]) -> Create:
    observed = context.observed
    manifest = delete_job_manifest(
        observed, job_name(entry), artifact, _last_ended(observed), context.settings
    )
    key = Key(JOBS, observed.namespace, job_name(entry))
    everywhere = users_of(artifact, observed.namespace) is None
    return Create(key, manifest, rests_on=(MODEL_VERSIONS, INFERENCE_SERVICES), everywhere=everywhere)


def _last_ended(observed: Observed) -> int:
    """The number of the newest run that has ended: the marks of runs up to this one no longer count."""
    run = observed.run
    if run is None:
        return observed.memory.last_number
    return run.number if run.state in TERMINAL else run.number - 1


def _followed(context: _Context, entry: RetiringVersion, job: Body, deleted: str) -> _Step:
    """The next step while the Job deletes the file."""
    since, step = from_timestamp(entry.since), _Step(entry)
    match follow(Work((DELETE_STEP,), job, pods_of(context.view, job), since=since), context.now):
        case Ended(results=results):
            return _Step(None, events=(_ended(entry, deleted, results[DELETE_STEP]),))
        case Failed(problem) if problem.permanent and problem.reason != "DeadlineExceeded":
            return _kept(deleted, problem)
        case Postponed(problem) if problem.missing and context.now - since >= PATIENCE:
            return _kept(deleted, problem)
        case Failed(problem):
            end = true_condition(job, "Failed") or true_condition(job, "Complete") or {}
            return _retried(context, entry, job, problem, next_try(end, since))
        case Postponed(problem, retry_at):
            return _retried(context, entry, job, problem, retry_at)
        case Ending(until=until):
            step = _Step(entry, requeue_at=until)
        case Starting(Problem(message=message)):
            step = _Step(entry, note=f"Job {name(job)} cannot delete the file yet: {message}")
    return step


def _kept(deleted: str, problem: Problem) -> _Step:
    """The end for a version whose file cannot be deleted."""
    message = f"{deleted}; its file stays: {problem.message}"
    return _Step(None, events=(Event("Warning", "ArtifactKept", message),))


def _retried(
    context: _Context, entry: RetiringVersion, job: Body, problem: Problem, retry_at: datetime
) -> _Step:
    """A failed Job is kept for its log until the next one is due."""
    note = f"Job {name(job)} could not delete the file, and is tried again: {problem.message}"
    effects = _deletion(context, job) if context.now >= retry_at else ()
    return _Step(entry, effects, note=note, requeue_at=retry_at)


def _deletion(context: _Context, job: Body | None) -> tuple[Effect, ...]:
    if job is None or deleting(job):
        return ()
    return (Delete(Key(JOBS, context.observed.namespace, name(job)), uid(job)),)


def _ended(entry: RetiringVersion, deleted: str, result: Mapping[str, Any]) -> Event:
    if result.get("deleted"):
        return Event("Normal", "VersionRetired", f"{deleted}; its file was deleted")
    keepers = ", ".join(map(str, result.get("keptBy") or ())) or "something"
    return Event("Normal", "VersionRetired", f"{deleted}; its file stays: {keepers} in its folder")


def _aspects(observed: Observed, kept: Mapping[str, Objection], steps: Sequence[_Step]) -> tuple[Aspect, ...]:
    """The condition HistoryLimitExceeded: what beyond the limit is not deleted, and why; none if nothing is."""
    refused = first_problem(refusals_of_retirement(observed))
    notes = [refused.message] if refused is not None else []
    notes += [f"ModelVersion {version} is kept: {why.message}" for version, why in kept.items()]
    notes += [step.note for step in steps if step.note is not None]
    if not notes:
        return ()
    more = f"; and {len(notes) - NAMED} more" if len(notes) > NAMED else ""
    reason = refused.reason if refused is not None else "VersionsKept" if kept else "Retiring"
    return (Aspect(HISTORY_LIMIT_EXCEEDED, True, reason, "; ".join(notes[:NAMED]) + more),)


def refusals_of_retirement(observed: Observed) -> tuple[Refusal, ...]:
    """The refused deletions of ModelVersions, and refusals of the Jobs that delete their files.

    They do not concern the runs, so Ready does not depend on them.
    """
    jobs = {Key(JOBS, observed.namespace, job_name(entry)) for entry in _entries(observed)}
    return tuple(
        refusal
        for refusal in observed.refusals
        if refusal.object in jobs
        or (refusal.object.resource == MODEL_VERSIONS and refusal.action == "delete")
    )
