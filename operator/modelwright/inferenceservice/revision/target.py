"""Finds the revision that the spec wants among the ModelVersions that exist: the target. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from modelwright.api.base import Artifact, ResourceRequirements, Signature
from modelwright.api.inferenceservice import InferenceServiceSpec, Revision, StableRevision
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
    """Why there is no target. `hopeless`: there will be none until a person changes something."""

    reason: str
    message: str
    hopeless: bool = False


def target(observed: Observed, settings: Settings) -> Revision | Unresolved:
    """Returns the revision that the spec wants now, or why there is none."""
    model = observed.spec.model
    version = model.version
    resolved = _newest(observed, model.name or "") if version is None else _named(observed, version)
    if isinstance(resolved, Unresolved | Revision):
        return resolved
    refused = _refused(observed, resolved) if observed.spec.rollout.require_compatible_signature else None
    return refused or revision(resolved, observed.spec, settings)


def _newest(observed: Observed, family: str) -> Body | Revision | Unresolved:
    """The newest version of a family that is Ready. Rejected ones are passed over, but not the one that serves.

    If the version that serves was deleted, the target is its revision until a newer version is Ready.
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
    """True if a version was made after the stable revision, whose own version was deleted, took over."""
    made = _made(version, version["spec"].get("lineage") or {})
    return stable.since is not None and made > from_timestamp(stable.since)


def passed_over(observed: Observed, serving: str) -> list[str]:
    """The versions that are newer than the one that serves, and why each of them is not started.

    Empty if the spec does not follow a family.
    """
    objections = {name(v): why for v in observed.versions if (why := _objection(observed, v))}
    if observed.spec.model.name is None or not objections:
        return []
    ordered = [name(version) for version in oldest_first(observed.versions)]
    place = ordered.index(serving) if serving in ordered else len(ordered)
    return [f"{newer} ({objections[newer]})" for newer in ordered[place + 1 :] if newer in objections]


def _objection(observed: Observed, version: Body) -> str | None:
    """Why a version is passed over, as a clause for messages; None if it may be started."""
    digest = version["spec"]["artifact"]["digest"]
    for own in observed.status.rejected or ():
        if own.scope == "Model" and own.digest == digest:
            by = f", {requester_phrase(own.requested_by)}" if own.requested_by else ""
            return f"revision {own.revision}: {own.reason}{by}"
    mark = true_condition(version, "Quarantined")
    return f"quarantined: {mark['reason']}" if mark is not None else None


def oldest_first(versions: Iterable[Body]) -> list[Body]:
    """The versions of a family in the order in which they were made.

    A backup tool restores objects with new creation timestamps, in any order. So the versions of one TrainingJob are in
    the order of their runs. All others are ordered by lineage.completionTime, which a backup keeps, or else by their
    creation timestamp.
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
    for numbered in runs.values():
        newest = _NEVER
        for run, made, version in sorted(numbered, key=lambda each: each[:2]):
            newest = max(newest, made)
            aged.append((newest, run, name(version), version))
    return [version for *_, version in sorted(aged, key=lambda each: each[:3])]


def _made(version: Body, lineage: Mapping[str, Any]) -> datetime:
    """When a version was made; the earliest time there is if neither of its times can be read."""
    for text in (lineage.get("completionTime"), created(version)):
        try:
            made = from_timestamp(str(text))
        except ValueError:
            continue
        return made if made.tzinfo is not None else made.replace(tzinfo=UTC)
    return _NEVER


def _named(observed: Observed, version_name: str) -> Body | Unresolved:
    """The version that the spec names, if it is Ready."""
    version = next((version for version in observed.versions if name(version) == version_name), None)
    if version is None:
        return Unresolved("ModelNotFound", f"there is no ModelVersion {version_name}")
    if not true_condition(version, "Ready"):
        return Unresolved("ModelNotReady", f"ModelVersion {version_name} is not Ready{_why(version)}")
    return version


def _refused(observed: Observed, version: Body) -> Unresolved | None:
    """Why callers of the version that serves could not use this one; None if they can."""
    stable = observed.status.stable
    if stable is None or stable.version == name(version):
        return None
    problem = incompatibility(_signature(observed.serving), _signature(version))
    if problem is None:
        return None
    message = f"ModelVersion {name(version)} cannot take the place of {stable.version}: {problem}"
    return Unresolved("IncompatibleSignature", message, hopeless=True)


def _signature(version: Body | None) -> Signature | None:
    """The signature in the version's status; None if there is none that this release can read."""
    signature = ((version or {}).get("status") or {}).get("signature")
    try:
        return None if signature is None else Signature.model_validate(signature)
    except ValidationError:  # written by another release
        return None


def revision(version: Body, spec: InferenceServiceSpec, settings: Settings) -> Revision:
    """The revision that serves a version with the resources and the options of the spec."""
    chosen = spec.resources or ResourceRequirements.model_validate(settings.serving_resources)
    artifact = Artifact.model_validate(version["spec"]["artifact"])
    image = settings.serving_image
    return Revision(
        revision=revision_name(artifact.digest, name(version), image, chosen, spec.server),
        version=name(version),
        artifact=artifact,
        image=image,
        resources=chosen,
        server=spec.server,
    )


def _why(version: Body) -> str:
    """Suffix with the reason of the version's Ready condition; empty if it has none."""
    conditions = (version.get("status") or {}).get("conditions") or ()
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), None)
    return f": {ready['reason']}" if ready is not None else ""
