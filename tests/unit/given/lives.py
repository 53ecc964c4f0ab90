"""What a backup tool does: it keeps objects without what binds them to others, and makes them again."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from unit.given.world import World

from modelwright.engine.objects import Body, Key, ResourceType, metadata


def back_up(world: World, *kinds: ResourceType) -> dict[Key, Body]:
    """What a backup tool keeps of the objects of these kinds: no owners, no uids, no status."""
    return {key: _kept(body) for key, body in sorted(world.api.objects.items()) if key.resource in kinds}


def _kept(body: Body) -> dict[str, Any]:
    meta = {name: metadata(body)[name] for name in ("labels", "annotations") if name in metadata(body)}
    return {"metadata": copy.deepcopy(meta), "spec": copy.deepcopy(body.get("spec", {})), **_data(body)}


def _data(body: Body) -> dict[str, Any]:
    return {"data": copy.deepcopy(body["data"])} if "data" in body else {}


def lose(world: World, keys: Iterable[Key]) -> None:
    """Objects go, and nothing remembers them."""
    for key in keys:
        world.api.drop(key)
    world.watch()


def restore(world: World, key: Key, kept: Body) -> None:
    """An object is made again from a backup; one that is there already is left as it is."""
    if key not in world.api.objects:
        world.api.put(key, kept)
        world.watch()
