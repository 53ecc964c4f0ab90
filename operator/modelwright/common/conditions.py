"""Conditions as kstatus, Argo CD and `kubectl wait` expect them: Ready, and Reconciling or Stalled only while true.

The rules of kstatus: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus. Messages hold no timestamps
or random names, and of counts only those that change seldom, so an unchanged state gives an unchanged status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Body
from modelwright.engine.plan import Event

MESSAGE_LENGTH = 2048
# The observedGeneration in the status that an object is created with: kstatus reads it as InProgress.
NEVER_SEEN = -1
# How long a state of progress may last without being written: the first one of an object, and a later one.
FIRST_PATIENCE = timedelta(seconds=10)
PATIENCE = timedelta(seconds=2)


class Progress(Enum):
    """Whether the operator still works towards the spec."""

    DONE = "done"
    RECONCILING = "reconciling"
    STALLED = "stalled"


@dataclass(frozen=True)
class Summary:
    """The content of the conditions Ready, and Reconciling or Stalled."""

    ready: bool | None
    reason: str
    message: str
    progress: Progress
    warning: bool = False

    @property
    def event(self) -> Event:
        """The event to post when the summary changes."""
        warns = self.warning or self.progress is Progress.STALLED
        return Event("Warning" if warns else "Normal", self.reason, self.message)


@dataclass(frozen=True)
class Aspect:
    """A condition that is not part of the summary."""

    type: str
    status: bool | None
    reason: str
    message: str


def patience(before: Mapping[str, Any], summary: Summary, generation: int) -> timedelta:
    """How long a status may wait to be written that records nothing but this summary.

    `before`: the status as it was last written. A result, and anything about a new spec, is written at once.
    """
    seen = before.get("observedGeneration", NEVER_SEEN)
    if summary.progress is not Progress.RECONCILING or seen not in (NEVER_SEEN, generation):
        return timedelta(0)
    return FIRST_PATIENCE if seen == NEVER_SEEN else PATIENCE


def done(reason: str, message: str, *, warning: bool = False) -> Summary:
    """Ready. `warning`: in a way that a user may not expect."""
    return Summary(True, reason, message, Progress.DONE, warning)


def reconciling(reason: str, message: str, *, ready: bool | None = None) -> Summary:
    """In progress, as expected."""
    return Summary(ready, reason, message, Progress.RECONCILING)


def waiting(reason: str, message: str) -> Summary:
    """In progress, but blocked by something that a user may have to remove."""
    return Summary(False, reason, message, Progress.RECONCILING, warning=True)


def stalled(reason: str, message: str) -> Summary:
    """Stopped: nothing happens until the spec changes."""
    return Summary(False, reason, message, Progress.STALLED)


def conditions(
    before: Iterable[Mapping[str, Any]],
    summary: Summary,
    generation: int,
    now: datetime,
    aspects: Iterable[Aspect] = (),
) -> list[dict[str, Any]]:
    """Returns the list of conditions. The transition time of one whose status is unchanged is kept.

    Known conditions keep their order. The API server merges this list by type and keeps its own order, so in another
    order an unchanged status would be written again at every reconcile.
    """
    known = {str(condition.get("type")): condition for condition in before}
    places = {kind: place for place, kind in enumerate(known)}
    summarized = [Aspect("Ready", summary.ready, summary.reason, summary.message)]
    if summary.progress is not Progress.DONE:
        summarized.append(Aspect(summary.progress.value.capitalize(), True, summary.reason, summary.message))
    ordered = sorted((*summarized, *aspects), key=lambda aspect: places.get(aspect.type, len(places)))
    return [condition(aspect, known.get(aspect.type), generation, now) for aspect in ordered]


def transition_events(before: Iterable[Mapping[str, Any]], summary: Summary) -> tuple[Event, ...]:
    """Returns the event of the summary if the status or reason of Ready changes.

    Progress as expected has none: the conditions show it, with its time.
    """
    if summary.progress is Progress.RECONCILING and not summary.warning:
        return ()
    ready = next((condition for condition in before if condition.get("type") == "Ready"), None)
    if (
        ready is not None
        and ready.get("reason") == summary.reason
        and ready.get("status") == _status(summary.ready)
    ):
        return ()
    return (summary.event,)


def true_condition(body: Body, kind: str) -> Mapping[str, Any] | None:
    """Returns the condition of this type if its status is True, else None. For objects of any kind."""
    entries = (body.get("status") or {}).get("conditions") or ()
    return next((c for c in entries if c.get("type") == kind and c.get("status") == "True"), None)


def condition(
    aspect: Aspect, known: Mapping[str, Any] | None, generation: int, now: datetime
) -> dict[str, Any]:
    """Returns one entry of the list of conditions. `known`: the entry before."""
    status = _status(aspect.status)
    unchanged = known is not None and known.get("status") == status
    return {
        "type": aspect.type,
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": (known.get("lastTransitionTime") if known is not None and unchanged else None)
        or to_timestamp(now),
        "reason": aspect.reason,
        "message": aspect.message[:MESSAGE_LENGTH],
    }


def _status(value: bool | None) -> str:
    return "Unknown" if value is None else str(value)
