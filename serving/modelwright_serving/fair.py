"""Turns among callers: whose request is next. Who a caller is, and what is done with a request, is left to others."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def in_turns(items: Iterable[Item], caller: Callable[[Item], object], most: int) -> list[Item]:
    """The first `most` items if each caller has one of them after the other; a caller's own stay in their order."""
    lines: dict[object, deque[Item]] = {}
    for item in items:
        lines.setdefault(caller(item), deque()).append(item)
    found: list[Item] = []
    while lines and len(found) < most:
        for key, line in list(lines.items()):
            found.append(line.popleft())
            if not line:
                del lines[key]
    return found[:most]
