"""Finds the revision that the spec wants among the ModelVersions that exist: the target. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from modelwright.api.base import Artifact, ResourceRequirements, Signature
from modelwright.api.inferenceservice import InferenceServiceSpec, Revision, StableRevision
from modelwright.api.requests import requester_phrase
from modelwright.common.conditions import true_condition
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, deleting, name
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.compatibility import incompatibility
from modelwright.inferenceservice.revision.family import made
from modelwright.inferenceservice.revision.revisions import revision_name, shape


@dataclass(frozen=True)
class Unresolved:
    """Why there is no target.

    `hopeless`: there will be none until a person changes something. `expected`: there soon is one if all goes well.
    """

    reason: str
    message: str
    hopeless: bool = False
    expected: bool = False


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
    stable = observed.status.stable
    deleted = stable if stable is not None and observed.is_deleted(stable.version) else None
    some_ready = some_good = False
    for version in reversed(observed.versions):
        if deleting(version) or not true_condition(version, "Ready"):
            continue
        some_ready = True
        if not (stable is not None and name(version) == stable.version) and _objection(observed, version):
            continue
        some_good = True
        if deleted is None or _is_newer(version, deleted):
            return version
    if deleted is not None and some_good:
        return Revision(**shape(deleted))
    if some_ready:
        return Unresolved(
            "ModelQuarantined",
            f"every ModelVersion of the model {family} that is Ready is quarantined, or was rejected here",
        )
    expected = any(_is_checked(version) for version in observed.versions)
    return Unresolved("ModelNotReady", f"no ModelVersion of the model {family} is Ready", expected=expected)


def _is_newer(version: Body, stable: StableRevision) -> bool:
    """True if a version was made after the stable revision, whose own version was deleted, took over."""
    return stable.since is not None and made(version) > from_timestamp(stable.since)


def passed_over(observed: Observed, serving: str) -> list[str]:
    """The versions that are newer than the one that serves, and why each of them is not started.

    Empty if the spec does not follow a family, or the version that serves is not in it.
    """
    if observed.spec.model.name is None:
        return []
    newer: list[str] = []
    for version in reversed(observed.versions):
        if name(version) == serving:
            return newer[::-1]
        if why := _objection(observed, version):
            newer.append(f"{name(version)} ({why})")
    return []


def _objection(observed: Observed, version: Body) -> str | None:
    """Why a version is passed over, as a clause for messages; None if it may be started."""
    digest = version["spec"]["artifact"]["digest"]
    for own in observed.status.rejected or ():
        if own.scope == "Model" and own.digest == digest:
            by = f", {requester_phrase(own.requested_by)}" if own.requested_by else ""
            return f"revision {own.revision}: {own.reason}{by}"
    mark = true_condition(version, "Quarantined")
    return f"quarantined: {mark['reason']}" if mark is not None else None


def _named(observed: Observed, version_name: str) -> Body | Unresolved:
    """The version that the spec names, if it is Ready."""
    version = next((version for version in observed.versions if name(version) == version_name), None)
    if version is None:
        return Unresolved("ModelNotFound", f"there is no ModelVersion {version_name}")
    if not true_condition(version, "Ready"):
        message = f"ModelVersion {version_name} is not Ready{_why(version)}"
        return Unresolved("ModelNotReady", message, expected=_is_checked(version))
    return version


def _is_checked(version: Body) -> bool:
    """True while a version is verified, and nothing is known to be in the way."""
    conditions = (version.get("status") or {}).get("conditions") or ()
    return not any(
        c["type"] == "Stalled" or (c["type"], c["status"]) == ("Ready", "False") for c in conditions
    )


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
