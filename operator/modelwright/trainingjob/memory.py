"""What is known of the runs of a TrainingJob. Pure.

The status holds it. If the status is lost (removed by hand, not in a backup, written by a release that this one cannot
read), it is rebuilt from Jobs and ModelVersions, so that nothing is trained twice. Both have the digest of their
recipe, the spec that they were made from, as an annotation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from modelwright.api.trainingjob import DataReport, Run, TrainingJobSpec, TrainingJobStatus
from modelwright.api.triggers import Cause
from modelwright.common.indexes import JOBS_OF_JOB, VERSIONS_OF_JOB
from modelwright.common.reading import read_each, read_valid
from modelwright.common.resources import JOBS, TRAINING_JOB, controlled
from modelwright.common.standing import standing
from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.cache import View
from modelwright.engine.objects import (
    Body,
    Key,
    annotations_of,
    controller,
    generation,
    labels,
    name,
    namespace,
    owned_by,
)

RECIPE_HASH = "modelwright.dev/recipe-hash"
# Of a Job: the cause of its run, as JSON.
CAUSE = "modelwright.dev/cause"
# The generation of the spec that a Job was made from.
GENERATION = "modelwright.dev/generation"
# What of the spec makes no other model, and asks for no other numbers of it; beside how stores are reached.
NO_RECIPE = frozenset(
    (
        "versions_history_limit", "on_inconclusive", "approval", "author", "signing",
        "triggers", "brakes", "suspend", "pod_template",
    )
)  # fmt: skip
HISTORY = 10


@dataclass(frozen=True)
class Memory:
    """The runs of a TrainingJob.

    `run`: the newest one. `last_number`: the highest number of any run. `strays`: Jobs without an owner that were
    made for another recipe.
    """

    run: Run | None
    history: tuple[Run, ...] = ()
    latest_model_version: str | None = None
    last_number: int = 0
    strays: tuple[Body, ...] = ()

    @property
    def real_run(self) -> Run | None:
        """The newest run that was not skipped: the state of the TrainingJob is that of this one."""
        runs = (run for run in (self.run, *self.history) if run is not None)
        return next((run for run in runs if run.state != "Skipped"), self.run)


def recipe_hash(body: Body) -> str:
    """The digest of a TrainingJob's recipe: the spec without what makes no other model, and without defaults, as a new
    release may add some."""
    recipe = body["spec"]
    with suppress(ValidationError):
        recipe = TrainingJobSpec.model_validate(recipe).model_dump(
            mode="json", by_alias=True, exclude_defaults=True, exclude=set(NO_RECIPE)
        )
        recipe["data"].pop("store", None)
        artifacts = recipe.pop("artifacts", {})
        artifacts.pop("deletionPolicy", None)
        artifacts.pop("store", None)
        recipe |= {"artifacts": artifacts} if artifacts else {}
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def read_memory(view: View, body: Body) -> Memory:
    """Returns what is known of the runs: from the status, or rebuilt if that is lost."""
    status = read_valid(TrainingJobStatus, body.get("status") or {})
    run = status.run
    remembered = Memory(run, tuple(status.history), status.latest_model_version, run.number if run else 0)
    if run is not None and run.generation == generation(body):
        return remembered
    recipe = recipe_hash(body)
    if run is not None and run.recipe_hash == recipe:
        return replace(remembered, run=run.model_copy(update={"generation": generation(body)}))
    versions = sorted(_versions(view, body), key=run_number)
    jobs = [job for job in _jobs(view, body) if belongs_to(job, body) and run_number(job)]
    last = max((remembered.last_number, *map(run_number, (*jobs, *versions))))
    known = replace(remembered, last_number=last)
    if run is None:
        return _rebuilt(known, body, recipe, jobs, versions)
    if run.recipe_hash is None and run.job in _made_from(recipe, (*jobs, *versions)):
        # An earlier release wrote the status.
        return replace(known, run=run.model_copy(update={"generation": generation(body)}))
    return known


def _rebuilt(known: Memory, body: Body, recipe: str, jobs: list[Body], versions: list[Body]) -> Memory:
    """Rebuilds the runs of a lost status.

    The newest run is that of the newest Job with this recipe, or else that of the newest
    ModelVersion, if it has this recipe.
    """
    job = max((job for job in jobs if _is_made_from(recipe, job)), key=run_number, default=None)
    newest = versions[-1] if versions else None
    run = None
    if job is not None and (newest is None or run_number(job) >= run_number(newest)):
        run = Run(
            number=run_number(job),
            generation=generation(body),
            recipe_hash=recipe,
            cause=cause_in(job),
            state="Pending",
            job=name(job),
        )
    elif newest is not None and _is_made_from(recipe, newest) and not _is_broken(newest):
        run = _run_of(newest, generation(body))
    earlier = [_run_of(version) for version in reversed(versions) if run is None or name(version) != run.job]
    latest = name(newest) if newest is not None else None
    strays = tuple(job for job in jobs if controller(job) is None and not _is_made_from(recipe, job))
    return replace(
        known,
        run=run,
        history=known.history or tuple(earlier[:HISTORY]),
        latest_model_version=known.latest_model_version or latest,
        strays=strays,
    )


def belongs_to(job: Body, body: Body) -> bool:
    """True if a Job was made for a run of this TrainingJob.

    Its owner reference shows it, or its labels and name if it has no controller: a restored backup and
    `kubectl delete --cascade=orphan` leave such Jobs. They are followed, but never changed.
    """
    if owned_by(job, body):
        return True
    expected = {MANAGED_BY: MANAGER, TRAINING_JOB: name(body)}
    return (
        controller(job) is None
        and expected.items() <= labels(job).items()
        and name(job) == f"{name(body)}-{run_number(job)}"
    )


def is_outdated(job: Body, body: Body) -> bool:
    """True if the spec has changed since the Job was made. Of the Job of an earlier release that is not known."""
    return annotations_of(job).get(GENERATION, str(generation(body))) != str(generation(body))


def job_of_run(view: View, body: Body, run: Run | None) -> Body | None:
    """Returns the Job of a run.

    A run that has had no Job yet does not take one with another recipe. Such a Job can have its name if the status
    was lost and the watch lagged.
    """
    job = view.get(Key(JOBS, namespace(body), run.job)) if run is not None else None
    if run is None or job is None or not belongs_to(job, body):
        return None
    recipe, is_new = annotations_of(job).get(RECIPE_HASH), run.job_uid is None
    if is_new and run.generation == generation(body) and recipe not in {None, recipe_hash(body)}:
        return None
    return job


def _jobs(view: View, body: Body) -> list[Body]:
    """The Jobs that this TrainingJob controls, or that its name in their label leads to."""
    labelled = view.indexed(JOBS_OF_JOB, namespace(body), name(body))
    return list({name(job): job for job in (*controlled(view, JOBS, body), *labelled)}.values())


def _versions(view: View, body: Body) -> Iterator[Body]:
    """The ModelVersions made by runs of this TrainingJob, or of an earlier one with the same name."""
    labelled = view.indexed(VERSIONS_OF_JOB, namespace(body), name(body))
    for version, _ in read_each(labelled, _run_of):
        if _lineage(version).get("run"):
            yield version


def cause_in(job: Body) -> Cause | None:
    """The cause of the run of a Job; None if it has none that can be read."""
    try:
        return Cause.model_validate_json(annotations_of(job).get(CAUSE) or "null")
    except ValidationError:
        return None


def _cause_of(version: Body) -> Cause | None:
    """The cause of the run that made a version; None if it has none that can be read."""
    try:
        return Cause.model_validate(_lineage(version).get("cause"))
    except ValidationError:
        return None


def _lineage(version: Body) -> Mapping[str, Any]:
    return dict(version["spec"].get("lineage") or {})


def run_number(body: Body) -> int:
    """Returns the number of the run that a Job or ModelVersion belongs to; 0 if it is not known."""
    number = _lineage(body).get("run") or name(body).rpartition("-")[2]
    return int(number) if str(number).isdecimal() else 0


def _is_made_from(recipe: str, body: Body) -> bool:
    return annotations_of(body).get(RECIPE_HASH) == recipe


def _is_broken(version: Body) -> bool:
    """True if nothing can be done with the file of a version: then a run makes another one."""
    stand = standing(version)
    return stand.stalled and not stand.is_withheld


def _made_from(recipe: str, bodies: Iterable[Body]) -> set[str]:
    """The names of the objects that were made from a recipe."""
    return {name(body) for body in bodies if _is_made_from(recipe, body)}


def _run_of(version: Body, of_generation: int = 0) -> Run:
    """The run, as far as its ModelVersion shows it."""
    lineage = _lineage(version)
    data = (lineage.get("data") or [{}])[0].get("digest")
    return Run(
        number=run_number(version),
        generation=of_generation,
        recipe_hash=annotations_of(version).get(RECIPE_HASH),
        cause=_cause_of(version),
        state="Succeeded",
        job=name(version),
        completion_time=lineage.get("completionTime"),
        model_version=name(version),
        digest=version["spec"]["artifact"]["digest"],
        champion=lineage.get("champion"),
        data=DataReport(digest=data) if data else None,
    )
