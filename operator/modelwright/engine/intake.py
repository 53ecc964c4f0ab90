"""The one way into the cache: what is taken in wakes the keys that it concerns.

Watches, listings and the answers to our own writes all come through here. An answer has to wake others as well:
the watch event that follows it brings nothing new and wakes nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from modelwright.engine.cache import NEVER_AGAIN, Blindness, Cache, key_of
from modelwright.engine.kinds import Kind, Wakes
from modelwright.engine.objects import Body, Key, ResourceType, metadata, root_uid

logger = logging.getLogger(__name__)


class Intake:
    """Puts bodies into the cache and adds the keys that have to be looked at."""

    def __init__(self, kinds: Sequence[Kind], cache: Cache, add: Callable[[Key], None]) -> None:
        self._kinds: Mapping[ResourceType, Kind] = {kind.resource: kind for kind in kinds}
        self._primary = {
            (kind.resource.api_version, kind.resource.kind): kind.resource for kind in kinds if kind.planner
        }
        self._cache = cache
        self._add = add

    def get(self, key: Key) -> Body | None:
        """The object, or None when it is not there."""
        return self._cache.get(key)

    def owned(self, resource: ResourceType, root_uid: str) -> list[Body]:
        """The objects of a kind that are there for this one, ordered by name."""
        return self._cache.owned(resource, root_uid)

    def all(self, resource: ResourceType, namespace: str) -> list[Body]:
        """The objects of a kind in a namespace, ordered by name."""
        return self._cache.all(resource, namespace)

    def keys(self, resource: ResourceType) -> Iterator[Key]:
        """The keys of all objects of a kind."""
        return self._cache.keys(resource)

    def blindness(self, resource: ResourceType, namespace: str) -> Blindness | None:
        """Why nothing can be known of a kind in a namespace; None where what is there is known."""
        return self._cache.blindness(resource, namespace)

    def named(self, uid: str) -> Key | None:
        """The key of the object with this uid."""
        return self._cache.named(uid)

    def fact(self, key: Key, source: str) -> Any:  # noqa: ANN401 - each source has a type of its own
        """What a source has found out about an object that no watch tells; None if nothing."""
        return self._cache.fact(key, source)

    def noted(self, source: str) -> list[Key]:
        """The keys of the objects that a source has found something out about."""
        return self._cache.noted(source)

    def note(self, key: Key, source: str, found: object) -> bool:
        """Takes in what a source has found out about an object; None forgets it. Says whether anything changed."""
        changed = self._cache.note(key, source, found)
        if changed and key.resource in self._primary.values():
            self._add(key)
        return changed

    def blind(self, resource: ResourceType, why: Blindness | None) -> bool:
        """Takes in that a kind cannot be seen any more, or that it can: any object may depend on it. True if
        that is news."""
        if why is not None:
            self.replace(resource, (), NEVER_AGAIN)
        changed = self._cache.blind(resource, why)
        for key in self._planned_for() if changed else ():
            self._add(key)
        return changed

    def _planned_for(self) -> Iterator[Key]:
        for resource in self._primary.values():
            yield from self._cache.keys(resource)

    def put(self, resource: ResourceType, body: Body) -> bool:
        """Takes in a body. Says whether anything changed."""
        kept = self._keep(resource, body)
        before = self._cache.get(key_of(resource, kept))
        changed = self._cache.put(resource, kept)
        is_news = kept is body or before is None or not _is_same(before, kept)
        if changed and is_news:
            self._wake(resource, *(() if before is None else (before,)), kept)
        return changed

    def _keep(self, resource: ResourceType, body: Body) -> Body:
        kind = self._kinds.get(resource)
        return body if kind is None else kind.keep(body)

    def remove(self, resource: ResourceType, body: Body) -> bool:
        """Takes in that an object left the watch. Says whether anything changed."""
        changed = self._cache.remove(resource, body)
        if changed:
            self._wake(resource, body)
        return changed

    def gone(self, key: Key, uid: str) -> bool:
        """Takes in that the API server no longer has this object. Says whether anything changed."""
        before = self._cache.get(key)
        changed = self._cache.gone(key, uid)
        if changed and before is not None:
            self._wake(key.resource, before)
        return changed

    def replace(self, resource: ResourceType, bodies: Iterable[Body], listed_at: int) -> None:
        """Takes in a full list."""
        before = {key: self._cache.get(key) for key in self._cache.keys(resource)}
        kept = [self._keep(resource, body) for body in bodies]
        for key in self._cache.replace(resource, kept, listed_at):
            seen = (before.get(key), self._cache.get(key))
            self._wake(resource, *(body for body in seen if body is not None))

    def _wake(self, resource: ResourceType, *bodies: Body) -> None:
        for key in {key for body in bodies for key in self._concerned(resource, body)}:
            self._add(key)

    def _concerned(self, resource: ResourceType, body: Body) -> Iterator[Key]:
        """The object itself, the one that it is there for, its controller, and what its kind names."""
        kind = self._kinds.get(resource)
        meta = metadata(body)
        namespace = meta.get("namespace", "")
        if kind is not None and kind.planner is not None:
            yield Key(resource, namespace, meta["name"])
        root = self._cache.named(root_uid(body) or "")
        if root is not None and root.namespace == namespace and root.resource in self._primary.values():
            yield root
        for owner in meta.get("ownerReferences") or []:
            owning = self._primary.get((owner["apiVersion"], owner["kind"]))
            if owner.get("controller") and owning is not None:
                yield Key(owning, namespace, owner["name"])
        if kind is not None and kind.wakes is not None:
            yield from self._woken(kind.wakes, resource, body)

    def _woken(self, wakes: Wakes, resource: ResourceType, body: Body) -> list[Key]:
        """What a kind names. A body that it cannot bear must not keep others from being taken in."""
        try:
            return list(wakes(self._cache, body))
        except Exception:
            where = metadata(body)
            logger.exception(
                "what %s %s/%s concerns is not known",
                resource.kind,
                where.get("namespace", ""),
                where["name"],
            )
            return []


def _is_same(before: Body, now: Body) -> bool:
    """Whether two bodies of an object differ in nothing but their version."""
    version = {"resourceVersion": None}
    return {**before, "metadata": {**metadata(before), **version}} == {
        **now,
        "metadata": {**metadata(now), **version},
    }
