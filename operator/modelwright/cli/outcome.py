"""The outcome of a request: whether the operator has handled it, carried it out, or why not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from modelwright.api.requests import ANNOTATION, Request
from modelwright.cli.request import rejected, written
from modelwright.view.model import Canary, InferenceService, Object

REFUSED = "RequestIgnored"
_REVISION = re.compile(r"\brevision ([a-f0-9]{10})\b")


def waits_for_pods(request: Request, service: InferenceService) -> bool:
    """True if the operator keeps the request pending until the canary has its first share."""
    canary = service.canary
    return request.action.startswith("promote") and canary is not None and canary.state == "Progressing"


def is_replaced(request: Request, service: InferenceService) -> bool:
    """True if another request replaced it before it was carried out."""
    return not is_handled(request, service) and service.request != written(request)


def is_handled(request: Request, service: InferenceService) -> bool:
    """True if the operator has carried it out or refused it."""
    handled = {service.status.last_handled_request, *service.status.handled_requests}
    return not handled.isdisjoint({request.token, _misread(request)})


def _misread(request: Request) -> str:
    """The token that an older operator records for a request whose action it does not know."""
    return written(request)[:64]


def is_done(request: Request, before: InferenceService, after: InferenceService) -> bool:
    """True if the status shows the effect of the request. If a handled request has none, the operator refused it."""
    stable = after.status.stable
    serves = stable is not None and stable.revision == request.revision
    if request.action == "undo":
        return not serves
    if request.action == "retry" and request.revision in rejected(before) - rejected(after):
        return True
    if request.action == "abort" and request.revision in rejected(after) - rejected(before):
        return True
    canary = after.canary
    if canary is None or canary.revision != request.revision:
        return serves and request.action not in {"abort", "pause"}
    return _shows(request, before.canary, canary)


def _shows(request: Request, before: Canary | None, after: Canary) -> bool:
    """True if the state of the canary shows the effect of the request."""
    match request.action:
        case "abort":
            return after.state == "Failed"
        case "pause" | "resume":
            return bool(after.paused) == (request.action == "pause")
        case "retry":
            return after.state != "Failed" or before is None or after.since != before.since
    return _advanced(before, after)


def _advanced(before: Canary | None, after: Canary) -> bool:
    """True if the canary has left the step it was at, even if it has failed since."""
    if before is None or after.state == "Completing" or before.state == "Progressing":
        return True
    return (after.step or 0) > (before.step or 0)


def complaint(events: Iterable[Object], request: Request) -> str | None:
    """Returns the message of the newest refusal that fits the request: by its revision, or about its syntax.

    The events hold no token. Repeated refusals share one event, so the age of an event does not show whether it belongs
    to this request.
    """
    refusals = sorted((e for e in events if e.get("reason") == REFUSED), key=_last, reverse=True)
    messages = [str(event.get("message", "")) for event in refusals]
    return next((text for text in messages if _is_about(text, request)), None)


def _is_about(message: str, request: Request) -> bool:
    """True if the message may be about this request, or is about the syntax of requests."""
    named = set(_REVISION.findall(message))
    return ANNOTATION in message or (message.startswith(request.action) and named <= {request.revision})


def _last(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
