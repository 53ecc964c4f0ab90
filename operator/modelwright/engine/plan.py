"""What a planner decides, as data. Planners build it, the executor carries it out; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from modelwright.engine.cache import View, key_of
from modelwright.engine.objects import Body, Key, ResourceType, deleting, uid


@dataclass(frozen=True)
class Create:
    """Make an object that is never changed afterwards. One of the same owner that is there already is fine;
    another owner's under that name is an error, unless the object is `shared`: then any will do.

    `rests_on`: as of `Delete`. `everywhere`: in all namespaces that the operator sees.
    """

    key: Key
    body: Body
    shared: bool = False
    rests_on: tuple[ResourceType, ...] = ()
    everywhere: bool = False


@dataclass(frozen=True)
class Apply:
    """Bring an object to this state by server-side apply; nothing is sent when it is there already."""

    key: Key
    body: Body


@dataclass(frozen=True)
class Delete:
    """Remove an object, if it still is the one with this uid; its dependents go in the background.

    `resource_version`: if given, only this version is removed: a change that the planner has not seen keeps it.
    `rests_on`: kinds of which the API server is asked for all objects of the namespace first. They come into the
    cache, and the effect is carried out only if the plan that is made after that still has it.
    """

    key: Key
    uid: str
    resource_version: str | None = None
    rests_on: tuple[ResourceType, ...] = ()


def deletions(resource: ResourceType, bodies: Iterable[Body]) -> Iterator[Delete]:
    """Remove these objects of a kind, but for those that are being deleted already."""
    return (Delete(key_of(resource, body), uid(body)) for body in bodies if not deleting(body))


@dataclass(frozen=True)
class Annotate:
    """Note something on an object, if it still is the one with this uid and is there.

    `by_status`: by way of the status, which takes annotations of Kubernetes' own kinds but no spec. The right to do so
    changes no image of a pod.
    """

    key: Key
    uid: str
    annotations: Mapping[str, str]
    by_status: bool = False


@dataclass(frozen=True)
class Confirm:
    """Ask the API server for an object that the cache lacks, before a verdict rests on its absence.

    One that is there comes into the cache; its absence becomes the fact `ABSENT` of the planned object.
    """

    key: Key


# The fact's source: the keys (a frozenset) that the last plan wanted confirmed and that are not there.
ABSENT = "absent"

Effect = Create | Apply | Delete | Annotate | Confirm


@dataclass(frozen=True)
class Event:
    """Something worth telling the user once, as a Kubernetes Event on the planned object."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Count:
    """Something to count, with the status that records it. `name`: one of `metrics.COUNTS`; `labels`: their values."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The next step for one object.

    Carried out in this order: events, status, effects. So a status records an intent before the effect that it
    speaks of, and a crash between any two repeats an event at worst. An effect that the API server refuses does not
    keep the later ones from being carried out: a planner makes an effect depend on another by what it observes. A
    plan that changed anything is followed by another one at once; `requeue_at` asks for one at that time.

    `counts`: counted once the status is written.

    `patience`: how long the status may wait, with the events and the counts: a state that passes sooner is never
    written. Effects do not wait, so such a status must not record anything that they follow from.
    """

    status: Mapping[str, Any] | None = None
    events: tuple[Event, ...] = ()
    counts: tuple[Count, ...] = ()
    effects: tuple[Effect, ...] = ()
    requeue_at: datetime | None = None
    patience: timedelta = timedelta(0)


class Planner(Protocol):
    """Decides for one object. Pure: equal arguments give an equal plan.

    `view` holds what the watches have seen. The object itself may be gone: then the plan is empty.
    """

    def __call__(self, view: View, key: Key, now: datetime) -> Plan: ...
