"""Named indexes: finds the objects of a kind by values that are computed from their bodies, without a scan. No I/O.

The kinds declare what they need (`kinds.Kind.indexes`); `cache.Cache` keeps them up to date.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from modelwright.engine.objects import Body, Key, ResourceType

T = TypeVar("T")
Values = Callable[[Body], Iterable[str | None]]


@dataclass(frozen=True, eq=False)
class Index:
    """An index over the objects of a kind.

    `values` returns the values under which an object is found; None stands for no value. It must depend on the body
    alone. A body that it fails on, such as one that another release wrote, is not found.
    """

    name: str
    resource: ResourceType
    values: Values


@dataclass
class _Group:
    """The objects of a namespace with one value, by name, and what was computed from them."""

    bodies: dict[str, Body] = field(default_factory=dict)
    computed: dict[Callable[..., Any], Any] = field(default_factory=dict)

    def ordered(self) -> list[Body]:
        return [self.bodies[name] for name in sorted(self.bodies)]


class Indexes:
    """The entries of some indexes."""

    def __init__(self, indexes: Iterable[Index]) -> None:
        self._of: dict[ResourceType, list[Index]] = defaultdict(list)
        for index in indexes:
            self._of[index.resource].append(index)
        self._groups: dict[Index, dict[str, dict[str, _Group]]] = {
            index: {} for declared in self._of.values() for index in declared
        }

    def add(self, key: Key, body: Body) -> None:
        """Adds an object that is not in the indexes."""
        for index in self._of.get(key.resource, ()):
            for value in _values(index, body):
                group = self._groups[index].setdefault(value, {}).setdefault(key.namespace, _Group())
                group.bodies[key.name] = body
                group.computed.clear()

    def remove(self, key: Key, body: Body) -> None:
        """Removes an object. `body`: the one that was added."""
        for index in self._of.get(key.resource, ()):
            for value in _values(index, body):
                namespaces = self._groups[index][value]
                group = namespaces[key.namespace]
                del group.bodies[key.name]
                group.computed.clear()
                if not group.bodies:
                    del namespaces[key.namespace]
                if not namespaces:
                    del self._groups[index][value]

    def find(self, index: Index, namespace: str | None, value: str) -> list[Body]:
        """The objects with this value, ordered by name; without a namespace, those of all namespaces."""
        namespaces = self._groups[index].get(value, {})
        if namespace is None:
            return [body for place in sorted(namespaces) for body in namespaces[place].ordered()]
        group = namespaces.get(namespace)
        return [] if group is None else group.ordered()

    def names(self, index: Index, value: str, namespace: str | None) -> Iterator[tuple[str, str]]:
        """Yields the namespace and name of each object with this value, in one namespace or in all, in no order."""
        for place, group in self._groups[index].get(value, {}).items():
            if namespace is None or namespace == place:
                for name in group.bodies:
                    yield place, name

    def computed(self, index: Index, namespace: str, value: str, compute: Callable[[Sequence[Body]], T]) -> T:
        """The result of `compute` for the objects with this value. It is kept until one of them changes."""
        group = self._groups[index].get(value, {}).get(namespace)
        if group is None:
            return compute(())
        if compute not in group.computed:
            group.computed[compute] = compute(group.ordered())
        result: T = group.computed[compute]
        return result


def _values(index: Index, body: Body) -> frozenset[str]:
    """The values of an object; none if it is malformed."""
    try:
        return frozenset(str(value) for value in index.values(body) if value is not None)
    except (AttributeError, KeyError, TypeError, ValueError):
        return frozenset()
