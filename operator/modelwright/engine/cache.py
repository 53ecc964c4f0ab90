"""What the watches and our own writes have shown: the newest body of each object, found by key or by owner.

Holds no tasks and does no I/O. `View` is the read side that planners get.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Protocol

from modelwright.engine.objects import Body, Key, ResourceType, metadata, owner_uid


class View(Protocol):
    """Read access to the objects that are known."""

    def get(self, key: Key) -> Body | None:
        """The object, or None when it is not there."""
        ...

    def owned(self, resource: ResourceType, owner_uid: str) -> list[Body]:
        """The objects of a kind that this owner controls, ordered by name."""
        ...

    def all(self, resource: ResourceType, namespace: str) -> list[Body]:
        """The objects of a kind in a namespace, ordered by name."""
        ...


def resource_version(body: Body) -> int:
    """The version that orders two bodies of one object.

    Kubernetes promises since 1.35 (KEP-5504) that resource versions compare as integers within a resource; etcd
    has always made them so.
    """
    return int(metadata(body).get("resourceVersion") or 0)


class Cache:
    """The objects that are known. A body only ever gives way to a newer one, so the order in which a watch
    event and the answer to our own write arrive does not matter."""

    def __init__(self) -> None:
        self._bodies: dict[ResourceType, dict[tuple[str, str], Body]] = defaultdict(dict)
        self._by_owner: dict[tuple[ResourceType, str], set[Key]] = defaultdict(set)
        self._buried: dict[str, int] = {}

    def get(self, key: Key) -> Body | None:
        """The object, or None when it is not there."""
        return self._bodies[key.resource].get((key.namespace, key.name))

    def owned(self, resource: ResourceType, owner_uid: str) -> list[Body]:
        """The objects of a kind that this owner controls, ordered by name."""
        keys = sorted(
            self._by_owner.get((resource, owner_uid), ()), key=lambda key: (key.namespace, key.name)
        )
        return [body for key in keys if (body := self.get(key)) is not None]

    def all(self, resource: ResourceType, namespace: str) -> list[Body]:
        """The objects of a kind in a namespace, ordered by name."""
        return [body for (space, _), body in sorted(self._bodies[resource].items()) if space == namespace]

    def keys(self, resource: ResourceType) -> Iterator[Key]:
        """The keys of all objects of a kind."""
        yield from (Key(resource, namespace, name) for namespace, name in self._bodies[resource])

    def put(self, resource: ResourceType, body: Body) -> bool:
        """Takes in a body unless a newer one, or the object's end, is known. Says whether anything changed."""
        raise NotImplementedError

    def remove(self, resource: ResourceType, body: Body) -> bool:
        """Forgets an object, unless a later one of the same name took its place. Says whether anything changed."""
        raise NotImplementedError

    def replace(self, resource: ResourceType, bodies: Iterable[Body], listed_at: int) -> set[Key]:
        """Takes in a full list: what is not in it and is older than the list is gone. Gives the changed keys."""
        raise NotImplementedError

    def _index(self, key: Key, body: Body) -> None:
        owner = owner_uid(body)
        if owner is not None:
            self._by_owner[key.resource, owner].add(key)
