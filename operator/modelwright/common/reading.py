"""Reads data that another release of the operator may have written, without failing on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from modelwright.engine.objects import Body

Value = TypeVar("Value")
Read = TypeVar("Read", bound=BaseModel)
Place = tuple[str | int, ...]
_GONE = object()


def read_valid(model: type[Read], written: object) -> Read:
    """Returns the valid part of an object. All fields of the model must be optional.

    An invalid field is dropped, and the object around it too if the field is required. Of a list, only the invalid
    items are dropped.
    """
    return read_with_faults(model, written)[0]


def read_with_faults(model: type[Read], written: object) -> tuple[Read, tuple[str, ...]]:
    """Returns the valid part of an object as `read_valid` does, and the paths of what was dropped."""
    dropped: list[str] = []
    while True:
        try:
            return model.model_validate(written), tuple(dict.fromkeys(dropped))
        except ValidationError as error:
            places = [_place(fault) for fault in error.errors(include_url=False)]
            dropped += [".".join(map(str, place)) for place in places]
            valid = _without(written, places)
            written = {} if valid is _GONE else valid


def read_each(bodies: Iterable[Body], read: Callable[[Body], Value]) -> Iterator[tuple[Body, Value]]:
    """Yields each body with the value read from it. Skips bodies that cannot be read, so that one malformed object does
    not block the others."""
    for body in bodies:
        try:
            value = read(body)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        yield body, value


def _place(fault: Mapping[str, Any]) -> Place:
    """The path of an invalid value; if a field is missing, that of the object around it."""
    place: Place = fault["loc"]
    return place[:-1] if fault["type"] == "missing" else place


def _without(value: object, places: Iterable[Place]) -> object:
    """Returns the value without the parts at these paths. Pydantic may append names of types to a path."""
    paths = list(places)
    if not paths:
        return value
    if isinstance(value, Mapping):
        parts: dict[Any, object] = dict(value)
    elif isinstance(value, list):
        parts = dict(enumerate(value))
    else:
        return _GONE
    if any(not place or place[0] not in parts for place in paths):
        return _GONE
    rest = {
        key: _without(part, [place[1:] for place in paths if place[0] == key]) for key, part in parts.items()
    }
    kept = {key: part for key, part in rest.items() if part is not _GONE}
    return kept if isinstance(value, Mapping) else list(kept.values())
