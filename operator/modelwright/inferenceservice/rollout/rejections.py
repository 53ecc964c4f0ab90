"""What was rejected, by the analysis or by somebody who aborted or undid it, and is not started again. Pure.

A rejection holds whatever else changes: replicas, resources, limits, the operator's image. It ends by a retry, or when
the spec asks for the version again after it has asked for another one in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from modelwright.api.inferenceservice import Rejection, Revision
from modelwright.common.times import to_timestamp
from modelwright.inferenceservice.revision.target import Unresolved

# As many as the status keeps.
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
    """The record of a revision that is rejected while `serves` has the traffic.

    Where that is the same model in another shape of pod, nothing is wrong with the model.
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
    """Whether a revision is not started because of it."""
    if rejected.scope == "Revision":
        return rejected.revision == revision.revision
    return rejected.digest == revision.artifact.digest


def blocking(known: Iterable[Rejection], revision: Revision) -> Rejection | None:
    """Why a revision is not started; None if it may be."""
    return next((rejected for rejected in known if blocks(rejected, revision)), None)


def added(known: Iterable[Rejection], new: Rejection) -> tuple[Rejection, ...]:
    """The rejections with a new one, the newest first; one of the same model or revision gives way to it."""
    kept = (r for r in known if (r.scope, _subject(r)) != (new.scope, _subject(new)))
    return (new, *kept)[:MOST]


def without(known: Iterable[Rejection], revision: str) -> tuple[Rejection, ...]:
    """The rejections without the one of this revision, which is tried again."""
    return tuple(rejected for rejected in known if rejected.revision != revision)


def standing(
    known: Iterable[Rejection], named: str | None, target: Revision | Unresolved
) -> tuple[Rejection, ...]:
    """The rejections that still hold under the present spec, which names this version, or none, and asks for `target`.

    One is over when what it rejects is asked for, and was not at some time since. So a spec that just goes on asking
    for it is not taken for somebody who wants another try.
    """
    return tuple(
        rejected.model_copy(update={"retry_when_named": True})
        if _asks_for_another(rejected, named, target)
        else rejected
        for rejected in known
        if not (rejected.retry_when_named and _is_asked_for(rejected, named, target))
    )


def lifted(known: Iterable[Rejection], revision: Revision | None) -> tuple[Rejection, ...]:
    """The rejections without those that keep this revision from being started."""
    return tuple(rejected for rejected in known if revision is None or not blocks(rejected, revision))


def _is_asked_for(rejected: Rejection, named: str | None, target: Revision | Unresolved) -> bool:
    """A family that is followed never asks for a model that was rejected: it is passed over."""
    if isinstance(target, Unresolved):
        return named == rejected.version
    return (named is not None or rejected.scope == "Revision") and blocks(rejected, target)


def _asks_for_another(rejected: Rejection, named: str | None, target: Revision | Unresolved) -> bool:
    """Whether the spec asks for another model. Another shape of pod says nothing: the administrator may have chosen it,
    as an image whose turn has not come."""
    if rejected.scope == "Model":
        return not _is_asked_for(rejected, named, target)
    if isinstance(target, Unresolved):
        return named not in {None, rejected.version}
    return named is not None and target.artifact.digest != rejected.digest


def _subject(rejected: Rejection) -> str:
    return rejected.digest if rejected.scope == "Model" else rejected.revision
