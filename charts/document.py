"""The README and the schema of the chart, with what the comments of its values say. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from charts.values import Section, Value

BEGIN, END = "<!-- values: `make generate` writes them from values.yaml -->", "<!-- end of values -->"


def readme(text: str, found: Iterable[Section]) -> str:
    """The README with the tables of the values."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README has no lines {BEGIN} and {END}")
    tables = "\n".join(_table(section) for section in found)
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def schema(
    given: Mapping[str, Any], found: Iterable[Section], definitions: Mapping[str, Any]
) -> dict[str, Any]:
    """The schema with the comments as descriptions and with these definitions; what else a value may be is its own."""
    result = copy.deepcopy(dict(given))
    result["definitions"] |= definitions
    for value in (value for section in found for value in section.values):
        part = _part(result, value.path)
        if part is not None and value.description:
            part["description"] = value.description
    return result


def schema_text(given: Mapping[str, Any]) -> str:
    """The schema as its file has it."""
    return json.dumps(given, indent=2, ensure_ascii=False) + "\n"


def _part(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The schema of a value; None if it is within a definition, which is shared."""
    part = schema
    for key in path:
        if "allOf" in part:
            return None
        part = part["properties"][key]
    return part


def _table(section: Section) -> str:
    lines = [f"### {section.title}", "", *([section.introduction, ""] if section.introduction else [])]
    lines += ["| value | default | what it is |", "|---|---|---|"]
    lines += [_row(value) for value in section.values if not value.is_map]
    return "\n".join(lines) + "\n"


def _row(value: Value) -> str:
    described = value.description.replace("|", r"\|")
    return f"| `{value.name}` | `{_default(value.default)}` | {described} |"


def _default(default: object) -> str:
    """The default as YAML in one line."""
    if isinstance(default, str) and default and yaml.safe_load(default) == default:
        return default
    return json.dumps(default)
