"""The CRDs of this source tree as the API server uses them: defaults, validation, and what it would prune."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

ROOT = Path(__file__).parents[3]


@cache
def schema_of(plural: str) -> dict[str, Any]:
    """The schema of a kind."""
    crd = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())
    (version,) = crd["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


@cache
def _validator(plural: str, part: str) -> Draft202012Validator:
    return Draft202012Validator(
        _pruned_is_wrong(schema_of(plural)["properties"][part]), format_checker=FormatChecker()
    )


def _pruned_is_wrong(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The API server drops unknown fields in silence; here they are errors."""
    strict = dict(schema)
    if "properties" in schema:
        strict["properties"] = {name: _pruned_is_wrong(sub) for name, sub in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            strict["additionalProperties"] = False
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), Mapping):
            strict[inner] = _pruned_is_wrong(schema[inner])
    return strict


def defects(plural: str, part: str, value: Mapping[str, Any]) -> list[str]:
    """What the API server would have against a spec or a status."""
    found = [f"{error.json_path}: {error.message}" for error in _validator(plural, part).iter_errors(value)]
    return [*found, *_doubled(schema_of(plural)["properties"][part], value, "$")]


def _doubled(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    """Elements of a keyed list that have one key."""
    if isinstance(value, Mapping):
        for name, sub in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties") or {}
            yield from _doubled(inner, sub, f"{path}.{name}")
    elif isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys")
        if keys:
            seen = [tuple(item.get(key) for key in keys) for item in value]
            yield from (f"{path}: {key} twice" for key in sorted(set(seen)) if seen.count(key) > 1)
        for item in value:
            yield from _doubled(schema.get("items", {}), item, f"{path}[]")


def with_defaults(plural: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with what the API server fills in."""
    whole: dict[str, Any] = filled(schema_of(plural)["properties"]["spec"], spec)
    return whole


def first_status(plural: str) -> dict[str, Any]:
    """The status of an object that the operator has not seen."""
    default: dict[str, Any] = schema_of(plural)["properties"]["status"]["default"]
    return copy.deepcopy(default)


def filled(schema: Mapping[str, Any], value: Any) -> Any:
    """A value with the defaults of a schema."""
    if isinstance(value, list):
        return [filled(schema.get("items", {}), item) for item in value]
    if not isinstance(value, Mapping):
        return value
    properties: Mapping[str, Any] = schema.get("properties", {})
    missing = {
        n: copy.deepcopy(s["default"]) for n, s in properties.items() if "default" in s and n not in value
    }
    return {n: filled(properties.get(n, {}), sub) for n, sub in {**value, **missing}.items()}
