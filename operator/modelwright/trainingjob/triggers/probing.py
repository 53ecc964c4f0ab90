"""Looks whether the data has changed: one small Job at a time, never oftener than the spec says. Pure.

The look is in the status before its Job is made. A Job whose look is over is deleted: at once if it found something,
and with the next look if it failed, so that its log can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from modelwright.api.trainingjob import Run
from modelwright.api.triggers import DATA_SECONDS, MESSAGE_LENGTH, Marker, OnDataChange, Probe
from modelwright.common.conditions import true_condition
from modelwright.common.resources import JOBS
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.objects import Key, deleting, name, uid
from modelwright.engine.plan import Create, Delete, Effect
from modelwright.engine.refusal import Refusal
from modelwright.trainingjob.manifests import PROBE_STEP, probe_job_manifest
from modelwright.trainingjob.observed import Observed, probe_job_name
from modelwright.trainingjob.runs import TERMINAL
from modelwright.trainingjob.triggers.brakes import MOST_AHEAD
from modelwright.workload.following import Ending, Failed, Postponed, Progress, Starting, Work, follow
from modelwright.workload.podstatus import Problem, step_result
from modelwright.workload.refusals import first_problem

# How long after the decision the Job of a look is made again if it is not there: later, it has been deleted.
TO_CREATE = timedelta(seconds=30)
_MARKER = TypeAdapter(Marker)
NO_MARKER = Problem(
    "NoMarker", "the source has nothing that shows whether it has changed: use a schedule instead"
)


@dataclass(frozen=True)
class Look:
    """The state of the last look after this plan. `problem`: why it finds nothing."""

    probe: Probe | None
    effects: tuple[Effect, ...] = ()
    requeue_at: datetime | None = None
    problem: Problem | None = None


def look(
    observed: Observed,
    spec: OnDataChange | None,
    probe: Probe | None,
    run: Run | None,
    settings: Settings,
    now: datetime,
) -> Look:
    """Returns the next step of the look. `run`: the newest run; while it is under way, nothing is looked for."""
    job = observed.probe_job
    delete = (
        (Delete(Key(JOBS, observed.namespace, name(job)), uid(job)),)
        if job is not None and not deleting(job)
        else ()
    )
    if spec is None:
        return Look(None, delete)
    if run is None or run.state not in TERMINAL:
        return Look(_given_up(probe), delete)
    if probe is None or probe.done:
        return _between(observed, spec, probe, run, delete, settings, now)
    return _under_way(observed, probe, delete, settings, now)


def _given_up(probe: Probe | None) -> Probe | None:
    """A look that a run makes needless."""
    return probe if probe is None or probe.done else probe.model_copy(update={"done": True})


def _between(
    observed: Observed, spec: OnDataChange, probe: Probe | None, run: Run,
    delete: tuple[Effect, ...], settings: Settings, now: datetime,
) -> Look:  # fmt: skip
    """Waits for the time of the next look, and begins it."""
    problem = None if probe is None or probe.reason is None else Problem(probe.reason, probe.message or "")
    due = _due(spec, probe, run, now)
    if now < due:
        return Look(probe, delete if problem is None else (), due, problem)
    if observed.probe_job is not None:
        return Look(probe, delete, now + TO_CREATE, problem)
    marker = None if probe is None else probe.marker
    begun = Probe(at=to_timestamp(now), marker=marker)
    return replace(_created(observed, begun, settings), problem=problem)


def _due(spec: OnDataChange, probe: Probe | None, run: Run, now: datetime) -> datetime:
    """When the next look is due: an interval after the last one, and after the end of the last run, which saw the data
    itself."""
    seen = [from_timestamp(text) for text in (probe and probe.at, run.completion_time) if text]
    last = max((moment for moment in seen if moment <= now + MOST_AHEAD), default=now)
    return last + timedelta(seconds=spec.interval_seconds or DATA_SECONDS)


def _created(observed: Observed, probe: Probe, settings: Settings) -> Look:
    key = Key(JOBS, observed.namespace, probe_job_name(observed.name))
    return Look(probe, (Create(key, probe_job_manifest(observed, settings)),))


def _under_way(
    observed: Observed, probe: Probe,
    delete: tuple[Effect, ...], settings: Settings, now: datetime,
) -> Look:  # fmt: skip
    begun = from_timestamp(probe.at)
    refused = first_problem(refusals_of_look(observed))
    if observed.probe_job is None:
        if begun <= now < begun + TO_CREATE or refused is not None:
            return replace(_created(observed, probe, settings), problem=refused)
        return Look(_failed(probe, Problem("JobDeleted", "its Job was deleted before it ended")))
    if (found := _found(observed)) is not None:
        probe = _over(probe, found.get("marker"))
        return Look(probe, delete if probe.reason is None else ())
    progress = follow(Work((PROBE_STEP,), observed.probe_job, observed.probe_pods, since=begun), now)
    return _followed(probe, progress, delete)


def _followed(probe: Probe, progress: Progress, delete: tuple[Effect, ...]) -> Look:
    match progress:
        case Failed(problem) | Postponed(problem):
            return Look(_failed(probe, problem))
        case Ending(until=until):
            return Look(probe, requeue_at=until)
        case Starting(Problem() as problem):
            return Look(probe, problem=problem)
    return Look(probe)


def _found(observed: Observed) -> Mapping[str, Any] | None:
    """What the look has found, which may be nothing; None while it has not ended well."""
    if observed.probe_job is None or true_condition(observed.probe_job, "Complete") is None:
        return None
    results = (step_result(pod, PROBE_STEP) for pod in observed.probe_pods)
    return next((result for result in results if result is not None), None)


def _over(probe: Probe, marker: object) -> Probe:
    """The look with what it found."""
    try:
        found = _MARKER.validate_python(marker, strict=True)
    except ValidationError:
        return _failed(probe, NO_MARKER)
    return Probe(at=probe.at, done=True, marker=found)


def _failed(probe: Probe, problem: Problem) -> Probe:
    """A look that found nothing: what an earlier one has found still holds."""
    return Probe(
        at=probe.at, done=True, marker=probe.marker,
        reason=problem.reason, message=problem.message[:MESSAGE_LENGTH],
    )  # fmt: skip


def refusals_of_look(observed: Observed) -> tuple[Refusal, ...]:
    """The refusals of the Job of a look. They do not concern the runs, so Ready does not depend on them."""
    key = Key(JOBS, observed.namespace, probe_job_name(observed.name))
    return tuple(refusal for refusal in observed.refusals if refusal.object == key)
