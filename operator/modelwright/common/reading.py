"""Reads what another release of the operator may have written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from modelwright.engine.objects import Body

Value = TypeVar("Value")
Read = TypeVar("Read", bound=BaseModel)
Place = tuple[str | int, ...]
_GONE = object()


def readable(model: type[Read], written: object) -> Read:
    """What can be read of an object all of whose fields are optional; the rest counts as not there.

    A field that cannot be read is left out, and so is the object around it if it cannot be without that field. Of a
    list, only the items that cannot be read are.
    """
    while True:
        try:
            return model.model_validate(written)
        except ValidationError as error:
            kept = _without(written, [_place(fault) for fault in error.errors(include_url=False)])
            written = {} if kept is _GONE else kept


def each(bodies: Iterable[Body], read: Callable[[Body], Value]) -> Iterator[tuple[Body, Value]]:
    """The bodies, each with what is read of it. One that cannot be read so is passed over: it must not hide the others
    from an object that looks through all of them."""
    for body in bodies:
        try:
            value = read(body)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        yield body, value


def _place(fault: Mapping[str, Any]) -> Place:
    """Where the value is that cannot be read; where one is missing, the object around it."""
    where: Place = fault["loc"]
    return where[:-1] if fault["type"] == "missing" else where


def _without(value: object, places: Iterable[Place]) -> object:
    """The value without what the places lead to. They may go on with names of types behind the innermost value."""
    found = list(places)
    if not found:
        return value
    if isinstance(value, Mapping):
        parts: dict[Any, object] = dict(value)
    elif isinstance(value, list):
        parts = dict(enumerate(value))
    else:
        return _GONE
    if any(not place or place[0] not in parts for place in found):
        return _GONE
    rest = {
        key: _without(part, [place[1:] for place in found if place[0] == key]) for key, part in parts.items()
    }
    kept = {key: part for key, part in rest.items() if part is not _GONE}
    return kept if isinstance(value, Mapping) else list(kept.values())
