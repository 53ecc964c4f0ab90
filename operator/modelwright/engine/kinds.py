"""What the engine has to know of each kind: where its objects are, what plans for them, and what they concern."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.cache import View
from modelwright.engine.indexes import Index
from modelwright.engine.objects import Body, Key, ResourceType, annotations_of, metadata
from modelwright.engine.plan import Planner

OURS = f"{MANAGED_BY}={MANAGER}"
Wakes = Callable[[View, Body], Iterable[Key]]
Needed = Callable[[View], bool]
Keep = Callable[[Body], Body]
Notes = Callable[[View, Body], Iterable[tuple[Key, str, object]]]

_IDENTITY = (
    *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"),
    *("labels", "ownerReferences"),
)


def _never(_: View) -> bool:
    return False


def whole(body: Body) -> Body:
    """All of a body."""
    return body


def identity(body: Body) -> Body:
    """What an object is called, and whose it is."""
    kept = {name: value for name, value in metadata(body).items() if name in _IDENTITY}
    return {**{name: body[name] for name in ("apiVersion", "kind") if name in body}, "metadata": kept}


def only(**parts: Iterable[str]) -> Keep:
    """Keeps the identity, the annotations, and the named fields of each part: `only(status=("phase",))`."""
    wanted = {part: frozenset(fields) for part, fields in parts.items()}

    def keep(body: Body) -> Body:
        kept = dict(identity(body))
        if noted := annotations_of(body):
            kept["metadata"] = {**kept["metadata"], "annotations": noted}
        for part, fields in wanted.items():
            if isinstance(body.get(part), Mapping):
                kept[part] = {name: value for name, value in body[part].items() if name in fields}
        return kept

    return keep


@dataclass(frozen=True)
class Kind:
    """A kind that the engine watches.

    One with a planner is looked after for its own sake; one without is there for others. `wakes` names further
    objects that a change concerns. An optional kind may be unknown to the API server, or come and go: then there are
    none of it. While it is not there the API server is asked for it as long as it is `needed`, and not otherwise.
    `keep` is what is kept of a body; a change of anything else wakes no key. `indexes` find objects of this kind.
    `notes` gives facts that follow from a body and have to outlive it: the object, the name of the fact, and the fact.
    """

    resource: ResourceType
    planner: Planner | None = None
    selector: str = ""
    wakes: Wakes | None = None
    optional: bool = False
    needed: Needed = _never
    keep: Keep = whole
    indexes: tuple[Index, ...] = ()
    notes: Notes | None = None


def child(resource: ResourceType, wakes: Wakes | None = None) -> Kind:
    """A kind of which only the objects count that are ours by label."""
    return Kind(resource, selector=OURS, wakes=wakes)
