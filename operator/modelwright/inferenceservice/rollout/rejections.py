"""Rejections: revisions that failed their analysis, or were aborted or undone by request, are not started again. Pure.

A rejection holds whatever else changes in the spec or the operator. It ends by a retry, or when the spec names the
version again after it has named another one in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from modelwright.api.inferenceservice import Rejection, Revision
from modelwright.common.times import to_timestamp
from modelwright.inferenceservice.revision.target import Unresolved

# The most rejections that the status keeps.
MOST = 20
UNDONE, ABORTED = "Undone", "Aborted"


def rejection(
    revision: Revision,
    reason: str,
    now: datetime,
    *,
    serves: Revision | None,
    requested_by: str | None = None,
    quarantine: bool = False,
) -> Rejection:
    """The rejection of a revision while `serves` has the traffic.

    If both serve the same model, only the revision is rejected: the cause is its pods, not the model.
    """
    is_model = serves is None or serves.artifact.digest != revision.artifact.digest
    return Rejection(
        at=to_timestamp(now),
        revision=revision.revision,
        version=revision.version,
        digest=revision.artifact.digest,
        scope="Model" if is_model else "Revision",
        reason=reason,
        requested_by=requested_by,
        quarantine=quarantine and is_model,
    )


def blocks(rejected: Rejection, revision: Revision) -> bool:
    """True if the rejection keeps the revision from being started."""
    if rejected.scope == "Revision":
        return rejected.revision == revision.revision
    return rejected.digest == revision.artifact.digest


def blocking(rejections: Iterable[Rejection], revision: Revision) -> Rejection | None:
    """The first rejection that keeps the revision from being started; None if there is none."""
    return next((rejected for rejected in rejections if blocks(rejected, revision)), None)


def added(rejections: Iterable[Rejection], new: Rejection) -> tuple[Rejection, ...]:
    """The rejections with a new one, the newest first. It replaces one of the same model or revision."""
    kept = (r for r in rejections if (r.scope, _subject(r)) != (new.scope, _subject(new)))
    return (new, *kept)[:MOST]


def without(rejections: Iterable[Rejection], revision: str) -> tuple[Rejection, ...]:
    """The rejections without the one of this revision."""
    return tuple(rejected for rejected in rejections if rejected.revision != revision)


def in_force(
    rejections: Iterable[Rejection], named: str | None, target: Revision | Unresolved
) -> tuple[Rejection, ...]:
    """The rejections that hold under the present spec. `named`: the version that it names; None if it follows a family.

    A rejection is marked once the spec wants something else, and ends when the spec then wants the rejected revision
    again. A spec that has wanted it all along does not end the rejection.
    """
    return tuple(
        rejected.model_copy(update={"retry_when_named": True})
        if _another_is_wanted(rejected, named, target)
        else rejected
        for rejected in rejections
        if not (rejected.retry_when_named and _is_wanted(rejected, named, target))
    )


def lifted(rejections: Iterable[Rejection], revision: Revision | None) -> tuple[Rejection, ...]:
    """The rejections without those that block this revision."""
    return tuple(rejected for rejected in rejections if revision is None or not blocks(rejected, revision))


def _is_wanted(rejected: Rejection, named: str | None, target: Revision | Unresolved) -> bool:
    """True if the spec wants what was rejected. A spec that follows a family never wants a rejected model: the newest
    version that was not rejected is its target."""
    if isinstance(target, Unresolved):
        return named == rejected.version
    return (named is not None or rejected.scope == "Revision") and blocks(rejected, target)


def _another_is_wanted(rejected: Rejection, named: str | None, target: Revision | Unresolved) -> bool:
    """True if the spec wants another model. Another revision of the same model does not count: it may come from the
    administrator's settings, such as an image that is rolled out later."""
    if rejected.scope == "Model":
        return not _is_wanted(rejected, named, target)
    if isinstance(target, Unresolved):
        return named not in {None, rejected.version}
    return named is not None and target.artifact.digest != rejected.digest


def _subject(rejected: Rejection) -> str:
    """What is rejected: a digest, or the name of a revision."""
    return rejected.digest if rejected.scope == "Model" else rejected.revision
