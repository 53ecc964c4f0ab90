"""Parts of the API that are values as well, as definitions of the chart's schema. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright.api.podtemplate import MANAGED_BY_KEY, OWN_KEY, SECURITY_KEY

# The API refuses these keys by rules in CEL, and an operator with one in its options does not start. The chart refuses
# them before an upgrade begins.
_OWN = f"{OWN_KEY}|^{MANAGED_BY_KEY.replace('.', '[.]')}$"
REFUSED_KEYS = {"labels": _OWN, "annotations": f"{_OWN}|{SECURITY_KEY}"}
# A definition, and where a TrainingJob has it in its spec.
SHARED = {"store": ("data", "store"), "podTemplate": ("podTemplate",)}


def shared(crd: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions, from the resource definition of TrainingJobs."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    result = {name: definition(_at(schema, path)) for name, path in SHARED.items()}
    for name, refused in REFUSED_KEYS.items():
        part = result["podTemplate"]["properties"]["metadata"]["properties"][name]
        part["propertyNames"] = {"not": {"pattern": refused}}
    return result


def definition(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of the API as one of values: without rules in CEL, and without unknown fields."""
    result = {key: part for key, part in schema.items() if not key.startswith("x-kubernetes")}
    if "properties" in schema:
        result["properties"] = {
            # The API leaves affinity to the API server; the chart knows its three parts.
            name: {"$ref": "#/definitions/affinity"} if name == "affinity" else definition(part)
            for name, part in schema["properties"].items()
        }
        result["additionalProperties"] = False
    if isinstance(schema.get("items"), Mapping):
        result["items"] = definition(schema["items"])
    return result


def _at(schema: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    found = schema
    for key in path:
        found = found["properties"][key]
    return found
