"""What came of a request: whether the operator has dealt with it, done it, or why not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from modelwright.api.requests import ANNOTATION, Request
from modelwright.cli.request import rejected, written
from modelwright.view.model import Canary, InferenceService, Object

REFUSED = "RequestIgnored"
_REVISION = re.compile(r"\brevision ([a-f0-9]{10})\b")


def waits_for_pods(asked: Request, seen: InferenceService) -> bool:
    """Whether the operator keeps the request until the canary has its first share."""
    canary = seen.canary
    return asked.action.startswith("promote") and canary is not None and canary.state == "Progressing"


def is_replaced(asked: Request, seen: InferenceService) -> bool:
    """Whether another request took its place before it was carried out."""
    return not is_handled(asked, seen) and seen.request != written(asked)


def is_handled(asked: Request, seen: InferenceService) -> bool:
    """Whether the operator has dealt with it."""
    handled = {seen.status.last_handled_request, *seen.status.handled_requests}
    return not handled.isdisjoint({asked.token, _misread(asked)})


def _misread(asked: Request) -> str:
    """What an older operator keeps of a request whose action it does not know."""
    return written(asked)[:64]


def is_done(asked: Request, before: InferenceService, after: InferenceService) -> bool:
    """Whether what was asked for shows in the status; if it does not, the operator has refused it."""
    stable = after.status.stable
    serves = stable is not None and stable.revision == asked.revision
    if asked.action == "undo":
        return not serves
    if asked.action == "retry" and asked.revision in rejected(before) - rejected(after):
        return True
    if asked.action == "abort" and asked.revision in rejected(after) - rejected(before):
        return True
    canary = after.canary
    if canary is None or canary.revision != asked.revision:
        return serves and asked.action not in {"abort", "pause"}
    return _shows(asked, before.canary, canary)


def _shows(asked: Request, before: Canary | None, after: Canary) -> bool:
    """Whether the canary looks like one with which it was done."""
    match asked.action:
        case "abort":
            return after.state == "Failed"
        case "pause" | "resume":
            return bool(after.paused) == (asked.action == "pause")
        case "retry":
            return after.state != "Failed" or before is None or after.since != before.since
    return _went_on(before, after)


def _went_on(before: Canary | None, after: Canary) -> bool:
    """Also when it has failed since: then it was at a later step."""
    if before is None or after.state == "Completing" or before.state == "Progressing":
        return True
    return (after.step or 0) > (before.step or 0)


def complaint(events: Iterable[Object], asked: Request) -> str | None:
    """What the operator said when it refused the request: the newest event about its revision, or its grammar.

    An event tells no token, and the same refusal is one event however often it is told: so its age says nothing.
    """
    told = sorted((e for e in events if e.get("reason") == REFUSED), key=_last, reverse=True)
    messages = [str(event.get("message", "")) for event in told]
    return next((text for text in messages if _is_about(text, asked)), None)


def _is_about(message: str, asked: Request) -> bool:
    """Whether it is about this request, as far as its words tell; or about the words of requests as such."""
    named = set(_REVISION.findall(message))
    return ANNOTATION in message or (message.startswith(asked.action) and named <= {asked.revision})


def _last(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
