"""The one way into the cache: what is taken in wakes the keys that it concerns.

Watches, listings and the answers to our own writes all come through here. An answer has to wake others as well:
the watch event that follows it brings nothing new and wakes nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

from modelwright.engine.api import Listing
from modelwright.engine.cache import NEVER_AGAIN, Blindness, Cache, key_of
from modelwright.engine.kinds import Kind, Wakes
from modelwright.engine.objects import Body, Key, ResourceType, is_object, metadata, root_uid

logger = logging.getLogger(__name__)

# So many objects are taken in at once: some milliseconds.
TURN = 20


class Intake(Cache):
    """A cache that adds the keys that a change concerns to the queue."""

    def __init__(
        self, kinds: Sequence[Kind], add: Callable[[Key], None], namespaces: Iterable[str] = ()
    ) -> None:
        super().__init__(namespaces, [index for kind in kinds for index in kind.indexes])
        self._kinds: Mapping[ResourceType, Kind] = {kind.resource: kind for kind in kinds}
        self._primary = {
            (kind.resource.api_version, kind.resource.kind): kind.resource for kind in kinds if kind.planner
        }
        self._add = add

    def note(self, key: Key, source: str, found: object) -> bool:
        """Takes in what a source has found out about an object; None forgets it. True if anything changed."""
        changed = super().note(key, source, found)
        if changed and key.resource in self._primary.values():
            self._add(key)
        return changed

    def blind(self, resource: ResourceType, why: Blindness | None, place: str | None = None) -> bool:
        """Takes in that a kind cannot be seen any more, or that it can: any object may depend on it. True if
        that is news."""
        if why is not None:
            self.replace(resource, (), NEVER_AGAIN, place)
        changed = super().blind(resource, why, place)
        for planned in self._primary.values() if changed else ():
            for key in list(self.keys(planned)):
                self._add(key)
        return changed

    def lose(self, place: str) -> None:
        """Takes in that a namespace cannot be watched for now. What is known of it stays, and is not relied on."""
        for resource, kind in self._kinds.items():
            if not kind.optional:
                super().blind(resource, "Forbidden", place)

    def wake(self, place: str) -> None:
        """Adds the keys of all objects of a namespace that are planned for."""
        for planned in self._primary.values():
            for key in list(self.keys(planned, place)):
                self._add(key)

    def put(self, resource: ResourceType, body: Body) -> bool:
        """Takes in a body. True if anything changed."""
        if not self._is_sound(resource, body):
            return False
        kept = self._keep(resource, body)
        before = self.get(key_of(resource, kept))
        changed = super().put(resource, kept)
        is_news = kept is body or before is None or not _is_same(before, kept)
        if changed and is_news:
            self._note_from(resource, kept)
            self._wake(resource, *(() if before is None else (before,)), kept)
        return changed

    def _note_from(self, resource: ResourceType, body: Body) -> None:
        """Notes what follows from a body. One that it cannot bear must not keep others from being taken in."""
        kind = self._kinds.get(resource)
        if kind is None or kind.notes is None:
            return
        try:
            for key, fact, found in list(kind.notes(self, body)):
                self.note(key, fact, found)
        except Exception:
            logger.exception("what %s %s says is not noted", resource.kind, metadata(body)["name"])

    def _is_sound(self, resource: ResourceType, body: Body) -> bool:
        """Whether a body is one of an object. What is not must not keep others from being taken in."""
        if is_object(body):
            return True
        logger.error("%s: something that is no object is left out: %.300r", resource.plural, body)
        return False

    def _keep(self, resource: ResourceType, body: Body) -> Body:
        kind = self._kinds.get(resource)
        return body if kind is None else kind.keep(body)

    def remove(self, resource: ResourceType, body: Body) -> bool:
        """Takes in that an object left the watch. True if anything changed."""
        if not self._is_sound(resource, body):
            return False
        before = self.get(key_of(resource, body))
        changed = super().remove(resource, body)
        if changed:
            self._wake(resource, *(() if before is None else (before,)), body)
        return changed

    def gone(self, key: Key, uid: str) -> bool:
        """Takes in that the API server no longer has this object. True if anything changed."""
        before = self.get(key)
        changed = super().gone(key, uid)
        if changed and before is not None:
            self._wake(key.resource, before)
        return changed

    def replace(
        self, resource: ResourceType, bodies: Iterable[Body], listed_at: int, place: str | None = None
    ) -> set[Key]:
        """Takes in a full list. Returns the changed keys."""
        sound = (body for body in bodies if self._is_sound(resource, body))
        return super().replace(resource, sound, listed_at, place)

    async def take_list(
        self, resource: ResourceType, pages: AsyncIterator[Listing], place: str | None = None
    ) -> None:
        """Takes in a full list of a namespace, or of all, page by page, in short turns of the event loop.

        Watches and our own writes go on meanwhile. A body only gives way to a newer one and the end of an object is
        remembered, so their order does not matter.
        """
        listed: set[Key] = set()
        listed_at, turns = 0, Turns()
        async for page in pages:
            listed_at = page.resource_version
            for body in page.items:
                if self._is_sound(resource, body):
                    listed.add(key_of(resource, body))
                    self.put(resource, body)
                await turns.take()
        for _ in self.end_unlisted(resource, listed, listed_at, place):
            await turns.take()

    def _end(self, key: Key, known: Body, version: int) -> None:
        super()._end(key, known, version)
        self._wake(key.resource, known)

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
        root = self.named(root_uid(body) or "")
        if root is not None and root.namespace == namespace and root.resource in self._primary.values():
            yield root
        for owner in meta.get("ownerReferences") or []:
            owning = self._primary.get((owner["apiVersion"], owner["kind"]))
            if owner.get("controller") and owning is not None:
                yield Key(owning, namespace, owner["name"])
        if kind is not None and kind.wakes is not None:
            yield from self._woken(kind.wakes, resource, body)

    def _woken(self, wakes: Wakes, resource: ResourceType, body: Body) -> set[Key]:
        """What a kind names. A body that it cannot bear must not keep others from being taken in."""
        found: set[Key] = set()
        try:
            found.update(wakes(self, body))
        except Exception:
            where = metadata(body)
            logger.exception(
                "what %s %s/%s concerns is not known",
                resource.kind,
                where.get("namespace", ""),
                where["name"],
            )
        return found


class Turns:
    """Lets the event loop run after every `TURN` objects."""

    def __init__(self) -> None:
        self._taken = 0

    async def take(self) -> None:
        """Counts one object."""
        self._taken += 1
        if self._taken % TURN == 0:
            await asyncio.sleep(0)


def _is_same(before: Body, now: Body) -> bool:
    """Whether two bodies of an object differ in nothing but their version."""
    version = {"resourceVersion": None}
    return {**before, "metadata": {**metadata(before), **version}} == {
        **now,
        "metadata": {**metadata(now), **version},
    }
