"""Decides which ModelVersions of a TrainingJob are kept: the newest `versionsHistoryLimit`, and what is needed. Pure.

A ModelVersion that cannot be served does not count, so that the last ones that can be are never deleted in favour of
newer ones that cannot. Of those whose gates, a lacking approval or a rejection keep them from being served, as many are
kept besides. Whatever is not known for sure keeps a version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelwright.api.storedocument import is_outside
from modelwright.common.conditions import true_condition
from modelwright.common.indexes import (
    SERVICES_NEEDING_DIGEST,
    SERVICES_NEEDING_VERSION,
    SERVICES_OF_MODEL,
    SERVICES_REJECTING,
    SERVICES_UNCLEAR,
    VERSIONS_OF_DIGEST,
    VERSIONS_OF_JOB,
    YES,
)
from modelwright.common.reading import read_each
from modelwright.common.resources import INFERENCE_SERVICES, MODEL_VERSIONS, TRAINING_JOB
from modelwright.common.standing import standing
from modelwright.common.times import from_timestamp
from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, created, deleting, labels, name, namespace
from modelwright.trainingjob.memory import run_number
from modelwright.workload.store import place_of

# How long after it was restored from a backup a version is kept in any case: the objects that need it may follow.
RESTORED = timedelta(hours=1)
# The operator creates a ModelVersion within seconds of the end of its run. One that is so much younger was restored.
RESTORED_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Objection:
    """Why something is kept. `until`: when the reason ends by itself; None if an object has to change."""

    message: str
    until: datetime | None = None


def is_made_by(version: Body, training_job: str) -> bool:
    """True if a run of the TrainingJob of this name made the version: labels, lineage and name agree."""
    lineage = version["spec"].get("lineage") or {}
    return (
        labels(version).get(MANAGED_BY) == MANAGER
        and labels(version).get(TRAINING_JOB) == training_job
        and lineage.get("trainingJob") == training_job
        and f"{training_job}-{lineage.get('run')}" == name(version)
    )


@dataclass(frozen=True)
class Made:
    """The ModelVersions that runs of a TrainingJob made, the newest first.

    `servable`: the places of those that can be served. `withheld`: of those that gates or people keep from it.
    """

    versions: tuple[Body, ...]
    servable: tuple[int, ...]
    withheld: tuple[int, ...] = ()

    def beyond(self, limit: int) -> tuple[Body, ...]:
        """Returns the versions that are older than the newest `limit` ones that can be served, and those that are
        withheld beyond the newest `limit` of their own."""
        end = self.servable[limit - 1] + 1 if len(self.servable) >= limit else len(self.versions)
        newer = [self.versions[place] for place in self.withheld[limit:] if place < end]
        return (*newer, *self.versions[end:])


def made_by(view: View, training_job: Body) -> Made:
    """Returns the ModelVersions that runs of this TrainingJob made.

    Also those of an earlier TrainingJob of the same name, whose runs this one continues to count.
    """
    return view.computed(VERSIONS_OF_JOB, namespace(training_job), name(training_job), lined_up)


def lined_up(labelled: Sequence[Body]) -> Made:
    """Returns those that runs made of the ModelVersions with the label of one TrainingJob."""
    found = read_each(labelled, lambda version: is_made_by(version, labels(version)[TRAINING_JOB]))
    versions = tuple(sorted((version for version, ours in found if ours), key=run_number, reverse=True))
    return Made(
        versions,
        servable=tuple(place for place, version in enumerate(versions) if _is_servable(version)),
        withheld=tuple(place for place, version in enumerate(versions) if standing(version).is_withheld),
    )


def _is_servable(version: Body) -> bool:
    ready, rejected = true_condition(version, "Ready"), true_condition(version, "Quarantined")
    return ready is not None and rejected is None and not deleting(version)


def objection(view: View, version: Body, siblings: Iterable[Body], now: datetime) -> Objection | None:
    """Returns why a version beyond the limit is kept; None if it may be deleted.

    `siblings`: all versions of the same TrainingJob.
    """
    where = namespace(version)
    return (
        _marked(version)
        or _needed(view.indexed(SERVICES_NEEDING_VERSION, where, name(version)), "needs it", where)
        or _needed(
            view.indexed(SERVICES_REJECTING, where, version["spec"]["artifact"]["digest"]),
            "rejected it",
            where,
        )
        or _restored(version, now)
        or _switched(_related_services(view, version, siblings), now)
        # Last: it passes quickly, and the message is to name the lasting reason.
        or _unknown(view, where, now, where)
    )


def file_objection(view: View, where: str, artifact: Mapping[str, Any], now: datetime) -> Objection | None:
    """Returns why the file of a deleted version is kept for now; None if it may be deleted.

    `where`: the namespace of the version. A ModelVersion that names the file keeps it for good, see `namesake`.
    """
    users = users_of(artifact, where)
    needing = view.indexed(SERVICES_NEEDING_DIGEST, users, str(artifact["digest"]))
    return _needed(needing, "needs it", where) or _unknown(view, where, now, users)


def users_of(artifact: Mapping[str, Any], where: str) -> str | None:
    """Returns the namespace of what may use a file; None stands for all: a claim is in one, a bucket in none."""
    return None if is_outside(str(artifact["uri"])) else where


def namesake(view: View, where: str, artifact: Mapping[str, Any]) -> str | None:
    """Returns the name of a ModelVersion of any family that names the file; None if there is none.

    The digest and the claim or bucket count: one may hold the same file under two uris.
    """
    named = view.indexed(VERSIONS_OF_DIGEST, users_of(artifact, where), str(artifact["digest"]))
    places = read_each(named, lambda version: place_of(str(version["spec"]["artifact"]["uri"])))
    same = (version for version, place in places if place == place_of(str(artifact["uri"])))
    return next((_called(version, where) for version in same), None)


def _called(body: Body, where: str) -> str:
    """What messages of an object in the namespace `where` call another one."""
    return name(body) if namespace(body) == where else f"{namespace(body)}/{name(body)}"


def _unknown(view: View, where: str, now: datetime, users: str | None) -> Objection | None:
    """What the operator does not know at present, and would have to. `users`: see `users_of`."""
    for kind in (INFERENCE_SERVICES, MODEL_VERSIONS):
        blindness = view.blindness(kind, where) or view.blindness(kind, users)
        if blindness is not None:
            return Objection(f"the operator cannot see {kind.plural} ({blindness})")
    unclear = next(iter(view.indexed(SERVICES_UNCLEAR, users, YES)), None)
    if unclear is None:
        return None
    message = f"the status of InferenceService {_called(unclear, where)} does not show yet what that needs"
    return Objection(message, now + timedelta(minutes=1))


def _marked(version: Body) -> Objection | None:
    """What the version itself says."""
    if deleting(version):
        return Objection("it is being deleted")
    if true_condition(version, "Quarantined"):
        return Objection("it is quarantined")
    in_use = true_condition(version, "InUse")
    if in_use is not None:
        return Objection(str(in_use["message"]))
    if (version.get("status") or {}).get("aliases"):
        return Objection("it has an alias")
    if version["spec"].get("approvals"):
        return Objection("it has an approval")
    return None


def _needed(services: Sequence[Body], verb: str, where: str) -> Objection | None:
    return Objection(f"InferenceService {_called(services[0], where)} {verb}") if services else None


def _restored(version: Body, now: datetime) -> Objection | None:
    completed, made = _completed(version), from_timestamp(created(version))
    if completed is None or made - completed < RESTORED_AFTER or made + RESTORED <= now:
        return None
    return Objection("it was restored from a backup within the last hour", made + RESTORED)


def _completed(version: Body) -> datetime | None:
    """When the run that made the version ended; None if that cannot be read."""
    try:
        completed = from_timestamp(str(version["spec"]["lineage"]["completionTime"]))
    except (KeyError, ValueError):
        return None
    return completed if completed.tzinfo is not None else None


def _related_services(view: View, version: Body, siblings: Iterable[Body]) -> Iterator[Body]:
    """The services that follow the family, and those that need any version of the same TrainingJob."""
    where = namespace(version)
    yield from view.indexed(SERVICES_OF_MODEL, where, str(version["spec"]["model"]))
    for sibling in siblings:
        yield from view.indexed(SERVICES_NEEDING_VERSION, where, name(sibling))


def _switched(services: Iterable[Body], now: datetime) -> Objection | None:
    """The status of a service names the revision before the stable one. If the traffic has changed more than once
    within its rollback window, there is one more that it does not name."""
    for service, until in read_each(services, lambda service: _window_end(service, now)):
        if until is not None and now < until:
            message = (
                f"the traffic of InferenceService {name(service)} changed twice within its rollback window"
            )
            return Objection(message, until)
    return None


def _window_end(service: Body, now: datetime) -> datetime | None:
    """When the second last change of the traffic is no longer within the rollback window; None without one."""
    status = service.get("status") or {}
    last = (status["lastDecision"],) if status.get("lastDecision") else ()
    switches = [
        from_timestamp(decision["at"])
        for decision in (*last, *(status.get("history") or ()))
        if decision["verdict"] in {"Promote", "Rollback"}
    ]
    if len(switches) < 2:
        return None
    rollout = service["spec"].get("rollout") or {}
    window = max(rollout.get("scaleDownDelaySeconds", 0), rollout.get("bakeSeconds", 0))
    return switches[1] + timedelta(seconds=window)
