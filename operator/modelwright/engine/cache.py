"""What the watches and our own writes have shown: the newest body of each object, found by key or by owner.

Holds no tasks and does no I/O. `View` is the read side that planners get.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

from modelwright.engine.indexes import Index, Indexes
from modelwright.engine.objects import (
    ROOT_UID,
    Body,
    Key,
    ResourceType,
    annotations_of,
    controller,
    labels,
    metadata,
    root_uid,
    uid,
)
from modelwright.engine.sharing import Texts

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OUR_ANNOTATIONS = "f:modelwright.dev/"
REMEMBERED_ENDS = 10_000
NEVER_AGAIN = 1 << 63

T = TypeVar("T")

# Why nothing is known of a kind: the API server does not have it, we may not read it, or not in that namespace.
Blindness = Literal["Unserved", "Forbidden", "OutOfReach"]


class View(Protocol):
    """Read access to the objects that are known. The bodies are shared: a planner must not change them."""

    def get(self, key: Key) -> Body | None:
        """The object, or None when it is not there."""
        ...

    def owned(self, resource: ResourceType, root_uid: str) -> list[Body]:
        """The objects of a kind that are there for this one (see root_uid), ordered by name."""
        ...

    def orphans(self, resource: ResourceType, namespace: str, root_uid: str) -> list[Body]:
        """The objects of a kind that nobody controls, and that were made for this one or for one that is gone."""
        ...

    def indexed(self, index: Index, namespace: str | None, value: str) -> list[Body]:
        """The objects that an index has under this value, ordered by name; None stands for all namespaces."""
        ...

    def computed(self, index: Index, namespace: str, value: str, compute: Callable[[Sequence[Body]], T]) -> T:
        """The result of `compute`, a pure function of a module, for the objects that an index has under this value.

        It is kept until one of them changes, and shared: it must not be changed.
        """
        ...

    def indexed_keys(self, index: Index, value: str, namespace: str | None = None) -> Iterable[Key]:
        """The keys of the objects that an index has under this value, in one namespace or in all, in no order.

        They are read one by one from what changes with each write.
        """
        ...

    def keys(self, resource: ResourceType) -> Iterable[Key]:
        """The keys of all objects of a kind, one by one as in `indexed_keys`."""
        ...

    def blindness(self, resource: ResourceType, namespace: str | None) -> Blindness | None:
        """Why nothing can be known of a kind in a namespace; None where what is there is known.

        With no namespace: in any of those that the operator is for.
        """
        ...

    def fact(self, key: Key, source: str) -> Any:  # noqa: ANN401 - each source has a type of its own
        """What a source has found out about an object; None if nothing."""
        ...


class Store(View, Protocol):
    """A view that also takes in the answers to our own writes."""

    @property
    def scope(self) -> tuple[str, ...]:
        """The only namespaces of which anything is known; none stands for all namespaces."""
        ...

    def named(self, uid: str) -> Key | None:
        """The key of the object with this uid."""
        ...

    def note(self, key: Key, source: str, found: object) -> bool:
        """Takes in what a source has found out about an object; None forgets it. Says whether anything changed."""
        ...

    def put(self, resource: ResourceType, body: Body) -> bool:
        """Takes in a body unless a newer one, or the object's end, is known. Says whether anything changed."""
        ...

    def gone(self, key: Key, uid: str) -> bool:
        """Takes in that the API server no longer has this object. Says whether anything changed."""
        ...


def resource_version(body: Body) -> int:
    """The version that orders two bodies of one object.

    Kubernetes promises since 1.35 (KEP-5504) that resource versions compare as integers within a resource; etcd
    has always made them so.
    """
    return int(metadata(body).get("resourceVersion") or 0)


def key_of(resource: ResourceType, body: Body) -> Key:
    """The key of an object of a kind."""
    meta = metadata(body)
    return Key(resource, meta.get("namespace", ""), meta["name"])


def slim(body: Body) -> Body:
    """The body without what no planner reads and what can be larger than all the rest.

    Of `managedFields` it keeps who wrote annotations of ours, as `annotationManagers`: the author of a request.
    """
    meta = metadata(body)
    if "managedFields" not in meta and LAST_APPLIED not in annotations_of(body):
        return body
    kept = {name: value for name, value in meta.items() if name != "managedFields"}
    if authors := _authors(meta.get("managedFields") or ()):
        kept["annotationManagers"] = authors
    if LAST_APPLIED in annotations_of(body):
        kept["annotations"] = {k: v for k, v in annotations_of(body).items() if k != LAST_APPLIED}
    return {**body, "metadata": kept}


def _authors(managed: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The field manager of each annotation of ours."""
    found = {}
    for entry in managed:
        fields = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {}
        for field in fields:
            if field.startswith(OUR_ANNOTATIONS):
                found[field.removeprefix("f:")] = str(entry.get("manager", ""))
    return found


class Cache:
    """The objects that are known. A body only ever gives way to a newer one, so the order in which a watch
    event and the answer to our own write arrive does not matter.

    The end of an object is remembered by uid with the version at which it was known to be gone: what is no newer
    than that is an echo. A body of the same uid that is newer is not: the object only left the selector for a
    while.
    """

    def __init__(self, namespaces: Iterable[str] = (), indexes: Iterable[Index] = ()) -> None:
        self._scope = tuple(namespaces)
        self._indexes = Indexes(indexes)
        self._texts = Texts()
        # By kind and place: a namespace of the scope, or None where all namespaces are listed at once.
        self._unseen: dict[tuple[ResourceType, str | None], Blindness] = {}
        self._bodies: dict[ResourceType, dict[str, dict[str, Body]]] = defaultdict(lambda: defaultdict(dict))
        self._by_owner: dict[tuple[ResourceType, str], set[Key]] = defaultdict(set)
        self._by_uid: dict[str, Key] = {}
        self._orphans: dict[tuple[ResourceType, str], set[Key]] = defaultdict(set)
        self._buried: OrderedDict[str, int] = OrderedDict()
        # The version of the last full list of a kind in a place: what it lacks was gone by then.
        self._complete_at: dict[tuple[ResourceType, str | None], int] = {}
        self._facts: dict[Key, dict[str, object]] = {}

    @property
    def scope(self) -> tuple[str, ...]:
        """The only namespaces of which anything is known; none stands for all namespaces."""
        return self._scope

    def get(self, key: Key) -> Body | None:
        """The object, or None when it is not there."""
        return self._bodies[key.resource].get(key.namespace, {}).get(key.name)

    def named(self, uid: str) -> Key | None:
        """The key of the object with this uid."""
        return self._by_uid.get(uid)

    def owned(self, resource: ResourceType, root_uid: str) -> list[Body]:
        """The objects of a kind that are there for this one (see root_uid), ordered by name."""
        keys = sorted(self._by_owner.get((resource, root_uid), ()), key=lambda key: (key.namespace, key.name))
        return [body for key in keys if (body := self.get(key)) is not None]

    def orphans(self, resource: ResourceType, namespace: str, root_uid: str) -> list[Body]:
        """The objects of a kind that nobody controls, and that were made for this one or for one that is gone.

        A backup tool restores objects so: their labels are kept, and lead to a uid of before.
        """
        keys = sorted(self._orphans.get((resource, namespace), ()), key=lambda key: key.name)
        bodies = [body for key in keys if (body := self.get(key)) is not None]
        return [
            body
            for body in bodies
            if labels(body)[ROOT_UID] == root_uid or labels(body)[ROOT_UID] not in self._by_uid
        ]

    def indexed(self, index: Index, namespace: str | None, value: str) -> list[Body]:
        """The objects that an index has under this value, ordered by name; None stands for all namespaces."""
        return self._indexes.find(index, namespace, value)

    def computed(self, index: Index, namespace: str, value: str, compute: Callable[[Sequence[Body]], T]) -> T:
        """The result of `compute` for the objects under a value of an index, kept until one of them changes."""
        return self._indexes.computed(index, namespace, value, compute)

    def indexed_keys(self, index: Index, value: str, namespace: str | None = None) -> Iterator[Key]:
        """The keys of the objects that an index has under this value, in no order, one by one."""
        for place, name in self._indexes.names(index, value, namespace):
            yield Key(index.resource, place, name)

    def keys(self, resource: ResourceType, place: str | None = None) -> Iterator[Key]:
        """The keys of all objects of a kind, in a namespace or in all. Nothing may be taken in meanwhile."""
        found = self._bodies[resource]
        for namespace, bodies in found.items() if place is None else ((place, found.get(place, {})),):
            for name in bodies:
                yield Key(resource, namespace, name)

    def fact(self, key: Key, source: str) -> Any:  # noqa: ANN401 - each source has a type of its own
        """What a source has found out about an object; None if nothing."""
        return self._facts.get(key, {}).get(source)

    def note(self, key: Key, source: str, found: object) -> bool:
        """Takes in what a source has found out about an object; None forgets it. Says whether anything changed.

        Nothing is kept of an object that is not there, and all of it goes with the object.
        """
        if self.get(key) is None or self.fact(key, source) == found:
            return False
        facts = self._facts.setdefault(key, {})
        facts.pop(source, None)
        if found is not None:
            facts[source] = found
        if not facts:
            del self._facts[key]
        return True

    def noted(self, source: str) -> list[Key]:
        """The keys of the objects that a source has found something out about."""
        return [key for key, facts in self._facts.items() if source in facts]

    def blindness(self, resource: ResourceType, namespace: str | None) -> Blindness | None:
        """Why nothing can be known of a kind in a namespace; None where what is there is known.

        With no namespace: in any of those that the operator is for.
        """
        anywhere = (self._unseen.get((resource, place)) for place in self._scope or (None,))
        if namespace is None:
            return next(filter(None, anywhere), None)
        if not self._scope or namespace in self._scope:
            return self._unseen.get((resource, self._place(namespace)))
        return "Unserved" if "Unserved" in anywhere else "OutOfReach"

    def blind(self, resource: ResourceType, why: Blindness | None, place: str | None = None) -> bool:
        """Takes in that a kind cannot be seen any more, or that it can. Says whether anything changed.

        `place`: a namespace of the scope; None where all namespaces are listed at once.
        """
        before = self._unseen.pop((resource, place), None)
        if why is not None:
            self._unseen[resource, place] = why
            self._complete_at.pop((resource, place), None)
        return before != why

    def _place(self, namespace: str) -> str | None:
        """How a namespace is listed: by itself, or with all others."""
        return namespace if self._scope else None

    def put(self, resource: ResourceType, body: Body) -> bool:
        """Takes in a body unless a newer one, or the object's end, is known. Says whether anything changed."""
        key, version = key_of(resource, body), resource_version(body)
        known = self.get(key)
        if version <= self._buried.get(uid(body), -1):
            return False
        if version <= (
            self._complete_at.get((resource, self._place(key.namespace)), -1)
            if known is None
            else resource_version(known)
        ):
            return False
        if known is not None and uid(known) != uid(body):
            self._bury(uid(known), NEVER_AGAIN)
            self._facts.pop(key, None)
        self._unlink(key)
        self._link(key, self._texts.share(dict(slim(body))))
        return True

    def remove(self, resource: ResourceType, body: Body) -> bool:
        """Forgets an object, unless a later one of the same name took its place. Says whether anything changed."""
        key, version = key_of(resource, body), resource_version(body)
        self._bury(uid(body), version)
        known = self.get(key)
        if known is None or resource_version(known) > version:
            return False
        self._bury(uid(known), version)
        return self._drop(key)

    def gone(self, key: Key, uid: str) -> bool:
        """Takes in that the API server no longer has this object. Says whether anything changed."""
        self._bury(uid, NEVER_AGAIN)
        known = self.get(key)
        return known is not None and metadata(known).get("uid") == uid and self._drop(key)

    def replace(
        self, resource: ResourceType, bodies: Iterable[Body], listed_at: int, place: str | None = None
    ) -> set[Key]:
        """Takes in a full list of a namespace, or of all: what is not in it and is older is gone. Gives the changed
        keys."""
        listed, changed = set(), set()
        for body in bodies:
            key = key_of(resource, body)
            listed.add(key)
            if self.put(resource, body):
                changed.add(key)
        ended = self.end_unlisted(resource, listed, listed_at, place)
        return changed | {key for key in ended if key is not None}

    def end_unlisted(
        self, resource: ResourceType, listed: Collection[Key], listed_at: int, place: str | None = None
    ) -> Iterator[Key | None]:
        """Ends the objects of a kind that a full list of this version does not have, one by one.

        `place`: the namespace that was listed; None if it was all of them.

        Yields the key of each that is ended, and None for each that stays. Anything may be taken in between two of
        them: what is newer than the list stays.
        """
        self._complete_at[resource, place] = listed_at
        for key in list(self.keys(resource, place)):
            known = self.get(key)
            ends = key not in listed and known is not None and resource_version(known) <= listed_at
            if ends and known is not None:
                self._end(key, known, listed_at)
            yield key if ends else None

    def _end(self, key: Key, known: Body, version: int) -> None:
        """Takes in that an object no longer existed at a version."""
        self._bury(uid(known), version)
        self._drop(key)

    def _drop(self, key: Key) -> bool:
        """Forgets an object and all that was found out about it."""
        self._facts.pop(key, None)
        return self._unlink(key)

    def _unlink(self, key: Key) -> bool:
        bodies = self._bodies[key.resource].get(key.namespace, {})
        known = bodies.pop(key.name, None)
        if known is None:
            return False
        if not bodies:
            del self._bodies[key.resource][key.namespace]
        self._by_uid.pop(uid(known), None)
        self._indexes.remove(key, known)
        owner = root_uid(known)
        if owner is not None:
            owned = self._by_owner[key.resource, owner]
            owned.discard(key)
            if not owned:
                del self._by_owner[key.resource, owner]
        self._orphans.get((key.resource, key.namespace), set()).discard(key)
        return True

    def _bury(self, uid: str, version: int) -> None:
        self._buried[uid] = max(version, self._buried.pop(uid, -1))
        while len(self._buried) > REMEMBERED_ENDS:
            self._buried.popitem(last=False)

    def _link(self, key: Key, body: Body) -> None:
        self._bodies[key.resource][key.namespace][key.name] = body
        self._indexes.add(key, body)
        self._by_uid[uid(body)] = key
        owner = root_uid(body)
        if owner is not None:
            self._by_owner[key.resource, owner].add(key)
            if controller(body) is None:
                self._orphans[key.resource, key.namespace].add(key)
