"""Conditions as kstatus, Argo CD and `kubectl wait` read them: Ready, and Reconciling or Stalled only while true.

The rules: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus. Messages hold no timestamps, counters
or random names, so an unchanged state gives an unchanged status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Body
from modelwright.engine.plan import Event

MESSAGE_LENGTH = 2048


class Progress(Enum):
    """Whether the operator still works towards the spec."""

    DONE = "done"
    RECONCILING = "reconciling"
    STALLED = "stalled"


@dataclass(frozen=True)
class Summary:
    """How the object stands: becomes Ready, and Reconciling or Stalled."""

    ready: bool | None
    reason: str
    message: str
    progress: Progress
    warning: bool = False

    @property
    def event(self) -> Event:
        """The event that announces it."""
        warns = self.warning or self.progress is Progress.STALLED
        return Event("Warning" if warns else "Normal", self.reason, self.message)


@dataclass(frozen=True)
class Aspect:
    """A condition besides those of the summary."""

    type: str
    status: bool | None
    reason: str
    message: str


def done(reason: str, message: str, *, warning: bool = False) -> Summary:
    """The spec is fulfilled; `warning`: by something that a user may not expect."""
    return Summary(True, reason, message, Progress.DONE, warning)


def reconciling(reason: str, message: str, *, ready: bool | None = None) -> Summary:
    """On the way, as expected."""
    return Summary(ready, reason, message, Progress.RECONCILING)


def waiting(reason: str, message: str) -> Summary:
    """On the way, but something is in it that a user may have to remove."""
    return Summary(False, reason, message, Progress.RECONCILING, warning=True)


def stalled(reason: str, message: str) -> Summary:
    """Nothing more happens until the spec changes."""
    return Summary(False, reason, message, Progress.STALLED)


def conditions(
    before: Iterable[Mapping[str, Any]],
    summary: Summary,
    generation: int,
    now: datetime,
    aspects: Iterable[Aspect] = (),
) -> list[dict[str, Any]]:
    """The list of conditions, with the time of the last transition kept where the status did not change.

    Those that are there already keep their places, as the API server merges this list by type: in another order the
    same status would be written again.
    """
    known = {str(condition.get("type")): condition for condition in before}
    places = {kind: place for place, kind in enumerate(known)}
    wanted = [Aspect("Ready", summary.ready, summary.reason, summary.message)]
    if summary.progress is not Progress.DONE:
        wanted.append(Aspect(summary.progress.value.capitalize(), True, summary.reason, summary.message))
    ordered = sorted((*wanted, *aspects), key=lambda aspect: places.get(aspect.type, len(places)))
    return [condition(aspect, known.get(aspect.type), generation, now) for aspect in ordered]


def transition(before: Iterable[Mapping[str, Any]], summary: Summary) -> tuple[Event, ...]:
    """The event to tell, if the reason of Ready is another one than before."""
    ready = next((condition for condition in before if condition.get("type") == "Ready"), None)
    if (
        ready is not None
        and ready.get("reason") == summary.reason
        and ready.get("status") == _status(summary.ready)
    ):
        return ()
    return (summary.event,)


def standing(body: Body, kind: str) -> Mapping[str, Any] | None:
    """A condition of an object of any kind, if it is true."""
    found = (body.get("status") or {}).get("conditions") or ()
    return next((c for c in found if c.get("type") == kind and c.get("status") == "True"), None)


def condition(
    aspect: Aspect, known: Mapping[str, Any] | None, generation: int, now: datetime
) -> dict[str, Any]:
    """One entry of the list of conditions; `known`: as it was before."""
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
