"""What a change of a resource definition takes away from objects that exist, and from those who write them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_AT_MOST = ("maximum", "maxLength", "maxItems", "maxProperties")
_AT_LEAST = ("minimum", "minLength", "minItems", "minProperties")
# A change of these makes other objects valid, or stores them otherwise.
_SAME = (
    "type", "format", "pattern", "default", "x-kubernetes-int-or-string", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-preserve-unknown-fields",
)  # fmt: skip


def breaks(old: Schema, new: Schema, path: str = "") -> Iterator[str]:
    """Says each thing that was valid before and is not now, or is stored otherwise, with its path."""
    for keyword in _SAME:
        if old.get(keyword) != new.get(keyword):
            yield f"{path}: {keyword} was {old.get(keyword)!r} and is {new.get(keyword)!r}"
    yield from _bounds(old, new, path)
    if gone := sorted({str(value) for value in old.get("enum", ())} - {str(v) for v in new.get("enum", ())}):
        yield f"{path}: enum has no {', '.join(gone)} any more"
    if "enum" in new and "enum" not in old:
        yield f"{path}: has an enum now"
    for field in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path}.{field}: is required now"
    known = [rule["rule"] for rule in old.get("x-kubernetes-validations", ())]
    for rule in new.get("x-kubernetes-validations", ()):
        if rule["rule"] not in known:
            yield f"{path}: there is a new rule: {rule['message']}"
    yield from _inside(old, new, path)


def _bounds(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for keyword in _AT_MOST:
        if keyword in new and (keyword not in old or new[keyword] < old[keyword]):
            yield f"{path}: {keyword} was {old.get(keyword)} and is {new[keyword]}"
    for keyword in _AT_LEAST:
        if keyword in new and (keyword not in old or new[keyword] > old[keyword]):
            yield f"{path}: {keyword} was {old.get(keyword)} and is {new[keyword]}"


def _inside(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, now = old.get("properties", {}), new.get("properties", {})
    for field in before:
        if field not in now:
            yield f"{path}.{field}: is no more"
        else:
            yield from breaks(before[field], now[field], f"{path}.{field}")
    for field in sorted(now.keys() - before.keys()):
        # A server's default would be written into each object that exists, at its next write.
        if "default" in now[field]:
            yield f"{path}.{field}: is new and has a default"
    for keyword in ("items", "additionalProperties"):
        if keyword in old and keyword not in new:
            yield f"{path}[]: is no more"
        elif keyword in old:
            yield from breaks(old[keyword], new[keyword], f"{path}[]")


def new_values(old: Schema, new: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """Values of enums that the earlier release does not know, with their paths."""
    for value in new.get("enum", ()):
        if "enum" in old and value not in old["enum"]:
            yield path, value
    for field in old.get("properties", {}).keys() & new.get("properties", {}).keys():
        yield from new_values(old["properties"][field], new["properties"][field], f"{path}.{field}")
    for keyword in ("items", "additionalProperties"):
        if keyword in old and keyword in new:
            yield from new_values(old[keyword], new[keyword], f"{path}[]")
