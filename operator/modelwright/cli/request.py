"""What somebody may ask of a rollout: when it makes sense, and how it is written. Pure.

The operator is the judge. What can be told before is told before, so that nothing is written that cannot work. What
came of it is found out by `outcome`.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, get_args

from modelwright.api.requests import ANNOTATION, REQUESTED_BY, Action, Request
from modelwright.cli.errors import Refused
from modelwright.view.model import Canary, InferenceService
from modelwright.view.progress import stage

ACTIONS: tuple[Action, ...] = get_args(Action)


def token(now: datetime) -> str:
    """A token that nobody has used: it tells when, and is not to be guessed at."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def request(action: Action, seen: InferenceService, revision: str | None, fresh: str) -> Request:
    """The request, bound to the revision that it is about; Refused where it makes no sense."""
    if seen.metadata.deletion_timestamp:
        raise Refused(f"{seen.name} is being deleted")
    about = _about(action, seen, revision)
    if revision is not None and revision != about:
        raise Refused(f"nothing was asked for: the revision is {about} by now, and not {revision}")
    return Request(action, about, fresh)


def _about(action: Action, seen: InferenceService, revision: str | None) -> str:
    """The revision that it would be done to."""
    if action == "undo":
        return _about_stable(seen)
    if action == "retry" and (revision in rejected(seen) or seen.canary is None):
        return _about_rejected(seen, revision)
    return _about_canary(action, seen)


def rejected(seen: InferenceService) -> set[str]:
    """The revisions that were sent back."""
    return {each.revision for each in seen.status.rejected}


def _about_rejected(seen: InferenceService, revision: str | None) -> str:
    """What was rejected earlier: the one that is named, else the only one, or the one that was rejected just now."""
    known, last = seen.status.rejected, seen.status.last_decision
    if not known:
        raise Refused(f"nothing to retry: {stage(seen).sentence}")
    if revision in rejected(seen) and revision is not None:
        return revision
    if revision is None and (len(known) == 1 or (last is not None and last.revision == known[0].revision)):
        return known[0].revision
    listed = ", ".join(f"{each.revision} ({each.version}, {each.reason})" for each in known)
    raise Refused(f"nothing was asked for: name the one to try again with --revision: {listed}")


def _about_stable(seen: InferenceService) -> str:
    """The one that has the traffic, and loses it to the other one that still runs."""
    status = seen.status
    if status.stable is None:
        raise Refused(f"nothing to undo: {seen.name} serves nothing yet")
    if status.retired is None:
        raise Refused(
            "nothing to go back to: no earlier revision runs any more (it is kept for "
            "spec.rollout.scaleDownDelaySeconds after another took over). Name the earlier version in spec.model"
        )
    if seen.way_back is None:
        raise Refused(
            f"nothing to undo: {status.retired.version} still runs, but it lost the traffic, and not by an undo. It "
            f"comes back step by step: by modelwright rollout retry {seen.name}, or when spec.model asks for it"
        )
    return status.stable.revision


def _about_canary(action: Action, seen: InferenceService) -> str:
    canary = seen.canary
    if canary is None:
        raise Refused(f"nothing to {_verb(action)}: {stage(seen).sentence}")
    reason = _objection(action, seen, canary)
    if reason is not None:
        raise Refused(f"nothing was asked for: {reason}")
    return canary.revision


def _verb(action: Action) -> str:
    return "promote" if action == "promote-full" else action


def _objection(action: Action, seen: InferenceService, canary: Canary) -> str | None:
    """Why it cannot be done, as far as that can be seen from here."""
    if action == "retry":
        return (
            None if canary.state == "Failed" else f"{canary.version} has not failed: {stage(seen).sentence}"
        )
    if canary.state == "Failed":
        return f"{canary.version} has failed. It is tried again with: modelwright rollout retry {seen.name}"
    return None if action == "abort" else _without_steps(seen, canary) or _of_pauses(action, seen, canary)


def _without_steps(seen: InferenceService, canary: Canary) -> str | None:
    """Why it has no step to stay at or to leave."""
    if canary.state == "Completing":
        stop = f"modelwright rollout abort {seen.name}"
        return f"{canary.version} has passed its last step. What still stops it is: {stop}"
    if seen.status.stable is None:
        return f"{canary.version} is the first one, which takes no steps: it serves as soon as its pods are ready"
    if seen.spec.rollout.strategy == "Replace":
        return f"strategy Replace has no steps: {canary.version} takes over as soon as its pods are ready"
    return None


def _of_pauses(action: Action, seen: InferenceService, canary: Canary) -> str | None:
    if action == "pause" and canary.paused:
        return f"{canary.version} is paused already"
    if action == "resume" and not canary.paused and seen.spec.rollout.paused:
        return "it is spec.rollout.paused that keeps it at its step: set it to false"
    if action == "resume" and not canary.paused:
        return f"{canary.version} is not paused"
    return None


def patch(seen: InferenceService, asked: Request, user: str | None = None) -> dict[str, Any]:
    """The merge patch that writes the request and who asks, on the object as it was read and on no other."""
    return {
        "metadata": {
            "uid": seen.metadata.uid,
            "resourceVersion": seen.metadata.resource_version,
            "annotations": {ANNOTATION: written(asked), REQUESTED_BY: user},
        }
    }


def written(asked: Request) -> str:
    """The request as the annotation has it."""
    return f"{asked.action}@{asked.revision}#{asked.token}"
