"""Which revision the spec asks for, given the ModelVersions there are. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from modelwright.api.base import Artifact, ResourceRequirements, Signature
from modelwright.api.inferenceservice import Revision, StableRevision
from modelwright.api.requests import requester_phrase
from modelwright.common.conditions import true_condition
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, created, deleting, name
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.compatibility import incompatibility
from modelwright.inferenceservice.revision.revisions import revision_name, shape

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Unresolved:
    """Why there is no revision to serve: not yet, or not until something is written anew (`hopeless`)."""

    reason: str
    message: str
    hopeless: bool = False


def target(observed: Observed, settings: Settings) -> Revision | Unresolved:
    """The revision that the spec asks for now."""
    wanted = observed.spec.model
    version = wanted.version
    found = _newest(observed, wanted.name or "") if version is None else _named(observed, version)
    if isinstance(found, Unresolved | Revision):
        return found
    refused = _refused(observed, found) if observed.spec.rollout.require_compatible_signature else None
    return refused or revision(found, observed.spec.resources, settings)


def _newest(observed: Observed, family: str) -> Body | Revision | Unresolved:
    """The newest version of a family that is Ready. One that was rejected is passed over, unless it serves.

    If the version that serves was deleted, its revision serves on until there is a newer version than that.
    """
    if not observed.versions:
        return Unresolved("ModelNotFound", f"there is no ModelVersion of the model {family}")
    ready = [
        version for version in observed.versions if true_condition(version, "Ready") and not deleting(version)
    ]
    if not ready:
        return Unresolved("ModelNotReady", f"no ModelVersion of the model {family} is Ready")
    serving = observed.status.stable.version if observed.status.stable is not None else None
    good = [version for version in ready if name(version) == serving or not _objection(observed, version)]
    if not good:
        return Unresolved(
            "ModelQuarantined",
            f"every ModelVersion of the model {family} that is Ready is quarantined, or was rejected here",
        )
    stable = observed.status.stable
    if stable is not None and observed.is_deleted(stable.version):
        good = [version for version in good if _is_newer(version, stable)]
        if not good:
            return Revision(**shape(stable))
    eligible = set(map(name, good))
    return next(version for version in reversed(oldest_first(observed.versions)) if name(version) in eligible)


def _is_newer(version: Body, stable: StableRevision) -> bool:
    """Whether a version was made after a revision took over whose own version is gone."""
    made = _made(version, version["spec"].get("lineage") or {})
    return stable.since is not None and made > from_timestamp(stable.since)


def passed_over(observed: Observed, serving: str) -> list[str]:
    """The versions of a family that is followed which are newer than the one that serves, each with the reason why it
    is not started."""
    objections = {name(v): why for v in observed.versions if (why := _objection(observed, v))}
    if observed.spec.model.name is None or not objections:
        return []
    ordered = [name(version) for version in oldest_first(observed.versions)]
    place = ordered.index(serving) if serving in ordered else len(ordered)
    return [f"{newer} ({objections[newer]})" for newer in ordered[place + 1 :] if newer in objections]


def _objection(observed: Observed, version: Body) -> str | None:
    """Why a version is not started for a service that follows its family; None if nothing is known against it."""
    digest = version["spec"]["artifact"]["digest"]
    for own in observed.status.rejected or ():
        if own.scope == "Model" and own.digest == digest:
            by = f", {requester_phrase(own.requested_by)}" if own.requested_by else ""
            return f"revision {own.revision}: {own.reason}{by}"
    mark = true_condition(version, "Quarantined")
    return f"quarantined: {mark['reason']}" if mark is not None else None


def oldest_first(versions: Iterable[Body]) -> list[Body]:
    """The versions of a family in the order in which they were made.

    Objects that a backup tool restores get new creation timestamps, in any order. So the runs of one TrainingJob count
    by their number alone: none is older than a run before it. Between TrainingJobs and versions made by hand the time
    decides: lineage.completionTime, which a backup keeps, or else the creation timestamp.
    """
    runs: dict[str, list[tuple[int, datetime, Body]]] = defaultdict(list)
    aged: list[tuple[datetime, int, str, Body]] = []
    for version in versions:
        lineage = version["spec"].get("lineage") or {}
        job, run, made = lineage.get("trainingJob"), int(lineage.get("run") or 0), _made(version, lineage)
        if job and run:
            runs[job].append((run, made, version))
        else:
            aged.append((made, run, name(version), version))
    for found in runs.values():
        newest = _NEVER
        for run, made, version in sorted(found, key=lambda each: each[:2]):
            newest = max(newest, made)
            aged.append((newest, run, name(version), version))
    return [version for *_, version in sorted(aged, key=lambda each: each[:3])]


def _made(version: Body, lineage: Mapping[str, Any]) -> datetime:
    """When a version was made; the API server takes more forms of a time than are read here."""
    for text in (lineage.get("completionTime"), created(version)):
        try:
            made = from_timestamp(str(text))
        except ValueError:
            continue
        return made if made.tzinfo is not None else made.replace(tzinfo=UTC)
    return _NEVER


def _named(observed: Observed, wanted: str) -> Body | Unresolved:
    found = next((version for version in observed.versions if name(version) == wanted), None)
    if found is None:
        return Unresolved("ModelNotFound", f"there is no ModelVersion {wanted}")
    if not true_condition(found, "Ready"):
        return Unresolved("ModelNotReady", f"ModelVersion {wanted} is not Ready{_why(found)}")
    return found


def _refused(observed: Observed, version: Body) -> Unresolved | None:
    """Why callers of the version that serves could not use this one."""
    stable = observed.status.stable
    if stable is None or stable.version == name(version):
        return None
    problem = incompatibility(_signature(observed.serving), _signature(version))
    if problem is None:
        return None
    told = f"ModelVersion {name(version)} cannot take the place of {stable.version}: {problem}"
    return Unresolved("IncompatibleSignature", told, hopeless=True)


def _signature(version: Body | None) -> Signature | None:
    found = ((version or {}).get("status") or {}).get("signature")
    try:
        return None if found is None else Signature.model_validate(found)
    except ValidationError:  # of another release
        return None


def revision(version: Body, resources: ResourceRequirements | None, settings: Settings) -> Revision:
    """The revision that serves a version in this shape of pod."""
    chosen = resources or ResourceRequirements.model_validate(settings.serving_resources)
    artifact = Artifact.model_validate(version["spec"]["artifact"])
    image = settings.serving_image
    return Revision(
        revision=revision_name(artifact.digest, name(version), image, chosen),
        version=name(version),
        artifact=artifact,
        image=image,
        resources=chosen,
    )


def _why(version: Body) -> str:
    found = (version.get("status") or {}).get("conditions") or ()
    ready = next((condition for condition in found if condition["type"] == "Ready"), None)
    return f": {ready['reason']}" if ready is not None else ""
