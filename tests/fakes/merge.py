"""Objects as maps of leaves, the form in which server-side apply thinks: a list with a key is a map by that key."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

# The lists of maps that the API server merges by a key; all other lists are one value.
LIST_KEYS = {
    "conditions": "type",
    "ownerReferences": "uid",
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}


class Item(NamedTuple):
    """An element of a list, by its key."""

    key: str
    value: Any


Path = tuple[Any, ...]


def flatten(tree: Any, path: Path = ()) -> dict[Path, Any]:
    """The leaves by their paths; an empty map is a leaf."""
    if isinstance(tree, Mapping) and tree:
        return {p: leaf for name, sub in tree.items() for p, leaf in flatten(sub, (*path, name)).items()}
    key = LIST_KEYS.get(path[-1]) if path and isinstance(path[-1], str) else None
    if key and isinstance(tree, list) and tree and all(isinstance(e, Mapping) and key in e for e in tree):
        return {p: leaf for e in tree for p, leaf in flatten(e, (*path, Item(key, e[key]))).items()}
    return {path: copy.deepcopy(tree)}


def unflatten(leaves: Mapping[Path, Any]) -> dict[str, Any]:
    """The tree again. Where a leaf stands above another, the longer path is the newer."""
    tree: dict[Any, Any] = {}
    for path, leaf in leaves.items():
        at = tree
        for step in path[:-1]:
            if not isinstance(at.get(step), _Node):
                at[step] = _Node()
            at = at[step]
        if leaf != {} or not isinstance(at.get(path[-1]), _Node):  # an empty map takes nothing away
            at[path[-1]] = leaf
    result: dict[str, Any] = _plain(tree)
    return result


class _Node(dict[Any, Any]):
    """A map that came of a path, not a leaf that happens to be a map."""


def _plain(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(step, Item) for step in tree):
        return [_plain(sub) for sub in tree.values()]
    return {name: _plain(sub) for name, sub in tree.items()}
