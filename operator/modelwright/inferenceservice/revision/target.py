"""Finds the revision that the spec wants among the ModelVersions that exist: the target. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from modelwright.api.base import ResourceRequirements, Signature
from modelwright.api.inferenceservice import InferenceServiceSpec, Revision, StableRevision
from modelwright.api.monitoring import FeedbackKeys
from modelwright.api.requests import requester_phrase
from modelwright.api.stores import Artifact
from modelwright.common.conditions import true_condition
from modelwright.common.families import made
from modelwright.common.settings import Settings
from modelwright.common.standing import Standing, is_ready, standing
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, deleting, name
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.compatibility import incompatibility
from modelwright.inferenceservice.revision.revisions import Beside, revision_name, shape
from modelwright.workload.podtemplate import serving_template


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
    resolved = _resolved(observed)
    if isinstance(resolved, Unresolved | Revision):
        return resolved
    refused = _refused(observed, resolved) if observed.spec.rollout.require_compatible_signature else None
    return refused or revision(resolved, observed.spec, settings)


def _resolved(observed: Observed) -> Body | Revision | Unresolved:
    """The version that the spec names or follows, or a revision that stays as it is."""
    model = observed.spec.model
    if model.version is not None:
        return _named(observed, model.version)
    if observed.champion is not None:
        return _followed(observed, observed.champion)
    if observed.leads_itself and (own := _own(observed, model.name or "")) is not None:
        return own
    return _newest(observed, model.name or "")


def _newest(observed: Observed, family: str) -> Body | Revision | Unresolved:
    """The newest version of a family that is Ready. Rejected ones are passed over, but not the one that serves.

    If the version that serves was deleted, or is no longer Ready, the target is its revision, as it is, until a newer
    version is Ready.
    """
    if not observed.versions:
        return Unresolved("ModelNotFound", f"there is no ModelVersion of the model {family}")
    stable = observed.status.stable
    deleted = stable if stable is not None and observed.is_deleted(stable.version) else None
    some_ready = some_good = False
    for version in reversed(observed.versions):
        if stable is not None and name(version) == stable.version:
            return version if is_ready(version) else Revision(**shape(stable))
        if deleting(version) or not is_ready(version):
            continue
        some_ready = True
        if _objection(observed, version):
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
    stand = [standing(version) for version in observed.versions]
    return Unresolved(
        "ModelNotReady",
        f"no ModelVersion of the model {family} is Ready; the newest is {name(observed.versions[-1])}{stand[-1].why}",
        hopeless=all(each.stalled for each in stand),
        expected=any(each.is_expected for each in stand),
    )


def _followed(observed: Observed, champion: Body) -> Body | Revision | Unresolved:
    """The version that the other services of the family serve, unless it must not be started here.

    Then the revision that serves stays.
    """
    stable = observed.status.stable
    if is_ready(champion) and (
        name(champion) == (stable and stable.version) or not _objection(observed, champion)
    ):
        return champion
    if stable is not None:
        return Revision(**shape(stable))
    stand, objection = standing(champion), _objection(observed, champion)
    followed = f"ModelVersion {name(champion)}, which the other services of the family serve,"
    if stand.ready is not True:
        return Unresolved(
            "ModelNotReady", f"{followed} is not Ready{stand.why}", stand.stalled, stand.is_expected
        )
    return Unresolved("ModelQuarantined", f"{followed} is passed over: {objection}")


def _own(observed: Observed, family: str) -> Body | Revision | None:
    """What a service with track Champion serves already, which stays while no other service leads: the one that led may
    be back in a moment, and a newer version has proved itself nowhere. None if it serves nothing of the family."""
    stable, version = observed.status.stable, observed.serving
    if stable is None or (version is not None and version["spec"]["model"] != family):
        return None
    return version if version is not None and is_ready(version) else Revision(**shape(stable))


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


def withheld(observed: Observed, version_name: str) -> Standing | None:
    """How a version stands that its gates, a lacking approval or a rejection keep from being Ready; None of another."""
    known = (*observed.versions, observed.serving, observed.replaced)
    version = next((each for each in known if each is not None and name(each) == version_name), None)
    stand = None if version is None else standing(version)
    return stand if stand is not None and stand.is_withheld else None


def _objection(observed: Observed, version: Body) -> str | None:
    """Why a version is passed over, as a clause for messages; None if it may be started."""
    digest = version["spec"]["artifact"]["digest"]
    for own in observed.status.rejected or ():
        if own.scope == "Model" and own.digest == digest:
            by = f", {requester_phrase(own.requested_by)}" if own.requested_by else ""
            return f"revision {own.revision}: {own.reason}{by}"
    mark = true_condition(version, "Quarantined")
    if mark is not None:
        return f"quarantined: {mark['reason']}"
    stand = standing(version)
    return f"not Ready: {stand.reason}" if stand.is_withheld else None


def _named(observed: Observed, version_name: str) -> Body | Unresolved:
    """The version that the spec names, if it is Ready."""
    version = next((version for version in observed.versions if name(version) == version_name), None)
    if version is None:
        return Unresolved("ModelNotFound", f"there is no ModelVersion {version_name}")
    stand = standing(version)
    if stand.ready is not True:
        message = f"ModelVersion {version_name} is not Ready{stand.why}"
        stable = observed.status.stable
        if stable is not None:
            message += f"; {'it' if stable.version == version_name else stable.version} keeps the traffic"
        return Unresolved("ModelNotReady", message, stand.stalled, stand.is_expected)
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
    image, feedback, said = settings.serving_image, _feedback_keys(spec), spec.pod_template
    beside = Beside(artifact.store, feedback, said)
    return Revision(
        revision=revision_name(artifact.digest, name(version), image, chosen, spec.server, beside),
        version=name(version),
        artifact=artifact,
        image=image,
        resources=chosen,
        server=spec.server,
        feedback=feedback,
        pod_template=said,
        merged_pod_template=serving_template(settings, said),
    )


def _feedback_keys(spec: InferenceServiceSpec) -> FeedbackKeys | None:
    """The keys for feedback that the spec names; None if it wants no feedback."""
    asked = None if spec.monitoring is None else spec.monitoring.feedback
    return (
        None
        if asked is None
        else FeedbackKeys(secret=asked.secret_ref.name, max_age_seconds=asked.max_age_seconds)
    )
