"""What the engine is told of each kind: where its objects are, who plans for them, and whom they concern."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, ResourceType
from modelwright.engine.plan import Planner

OURS = f"{MANAGED_BY}={MANAGER}"
Wakes = Callable[[View, Body], Iterable[Key]]


@dataclass(frozen=True)
class Kind:
    """A kind that the engine watches.

    One with a planner is looked after for its own sake; one without is there for others. `wakes` names further
    objects that a change concerns. An optional kind may be unknown to the API server: then there are none of it.
    """

    resource: ResourceType
    planner: Planner | None = None
    selector: str = ""
    wakes: Wakes | None = None
    optional: bool = False


def child(resource: ResourceType, wakes: Wakes | None = None) -> Kind:
    """A kind of which only the objects count that are ours by label."""
    return Kind(resource, selector=OURS, wakes=wakes)
