"""Builds requests about a rollout, and refuses those that make no sense in the present state. Pure.

The operator decides. This module only finds early what cannot work, so that such a request is not written. `outcome`
finds out what became of a request.
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
    """Returns a fresh token: the time, and random digits."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def request(action: Action, service: InferenceService, revision: str | None, fresh: str) -> Request:
    """Returns the request, bound to a revision; Refused if it makes no sense."""
    if service.metadata.deletion_timestamp:
        raise Refused(f"{service.name} is being deleted")
    about = _about(action, service, revision)
    if revision is not None and revision != about:
        raise Refused(f"nothing was asked for: the revision is {about} by now, and not {revision}")
    return Request(action, about, fresh)


def _about(action: Action, service: InferenceService, revision: str | None) -> str:
    """The revision that the action applies to."""
    if action == "undo":
        return _about_stable(service)
    if action == "retry" and (revision in rejected(service) or service.canary is None):
        return _about_rejected(service, revision)
    return _about_canary(action, service)


def rejected(service: InferenceService) -> set[str]:
    """Returns the revisions in `status.rejected`."""
    return {each.revision for each in service.status.rejected}


def _about_rejected(service: InferenceService, revision: str | None) -> str:
    """The rejected revision that is named, else the only one, else the one that the last decision rejected."""
    known, last = service.status.rejected, service.status.last_decision
    if not known:
        raise Refused(f"nothing to retry: {stage(service).sentence}")
    if revision in rejected(service) and revision is not None:
        return revision
    if revision is None and (len(known) == 1 or (last is not None and last.revision == known[0].revision)):
        return known[0].revision
    listed = ", ".join(f"{each.revision} ({each.version}, {each.reason})" for each in known)
    raise Refused(f"nothing was asked for: name the one to try again with --revision: {listed}")


def _about_stable(service: InferenceService) -> str:
    """The stable revision, which loses the traffic by an undo; Refused if no other one runs."""
    status = service.status
    if status.stable is None:
        raise Refused(f"nothing to undo: {service.name} serves nothing yet")
    if status.retired is None:
        raise Refused(
            "nothing to go back to: no earlier revision runs any more (it is kept for "
            "spec.rollout.scaleDownDelaySeconds after another took over). Name the earlier version in spec.model"
        )
    if service.way_back is None:
        raise Refused(
            f"nothing to undo: {status.retired.version} still runs, but it lost the traffic, and not by an undo. It "
            f"comes back step by step: by modelwright rollout retry {service.name}, or when spec.model asks for it"
        )
    return status.stable.revision


def _about_canary(action: Action, service: InferenceService) -> str:
    canary = service.canary
    if canary is None:
        raise Refused(f"nothing to {_verb(action)}: {stage(service).sentence}")
    reason = _objection(action, service, canary)
    if reason is not None:
        raise Refused(f"nothing was asked for: {reason}")
    return canary.revision


def _verb(action: Action) -> str:
    return "promote" if action == "promote-full" else action


def _objection(action: Action, service: InferenceService, canary: Canary) -> str | None:
    """Why the action cannot be done to the canary; None if no reason is known here."""
    if action == "retry":
        return (
            None
            if canary.state == "Failed"
            else f"{canary.version} has not failed: {stage(service).sentence}"
        )
    if canary.state == "Failed":
        return (
            f"{canary.version} has failed. It is tried again with: modelwright rollout retry {service.name}"
        )
    return (
        None if action == "abort" else _without_steps(service, canary) or _of_pauses(action, service, canary)
    )


def _without_steps(service: InferenceService, canary: Canary) -> str | None:
    """Why the canary has no step to stay at or to leave; None if it has one."""
    if canary.state == "Completing":
        stop = f"modelwright rollout abort {service.name}"
        return f"{canary.version} has passed its last step. What still stops it is: {stop}"
    if service.status.stable is None:
        return f"{canary.version} is the first one, which takes no steps: it serves as soon as its pods are ready"
    if service.spec.rollout.strategy == "Replace":
        return f"strategy Replace has no steps: {canary.version} takes over as soon as its pods are ready"
    return None


def _of_pauses(action: Action, service: InferenceService, canary: Canary) -> str | None:
    if action == "pause" and canary.paused:
        return f"{canary.version} is paused already"
    if action == "resume" and not canary.paused and service.spec.rollout.paused:
        return "it is spec.rollout.paused that keeps it at its step: set it to false"
    if action == "resume" and not canary.paused:
        return f"{canary.version} is not paused"
    return None


def patch(service: InferenceService, request: Request, user: str | None = None) -> dict[str, Any]:
    """Returns the merge patch that writes the request and its author. It fits only the object as it was read."""
    return {
        "metadata": {
            "uid": service.metadata.uid,
            "resourceVersion": service.metadata.resource_version,
            "annotations": {ANNOTATION: written(request), REQUESTED_BY: user},
        }
    }


def written(request: Request) -> str:
    """Returns the request as the value of the annotation."""
    return f"{request.action}@{request.revision}#{request.token}"
