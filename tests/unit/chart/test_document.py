"""The README, the schema and the values of the chart say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from charts.definitions import definition, shared
from charts.document import readme, schema, schema_text
from charts.values import Section, Value, sections
from unit.chart.rendering import Chart

# Helm's condition of a dependency is a value without a default.
NOT_SHOWN = {"enabled"}


@pytest.fixture(scope="module")
def found(chart: Chart) -> list[Section]:
    """The values of the chart with their comments."""
    return sections((chart.folder / "values.yaml").read_text())


def test_make_generate_has_been_run(chart: Chart, found: list[Section]) -> None:
    described = (chart.folder / "README.md").read_text()
    assert readme(described, found) == described, "run `make generate`"
    bounds = (chart.folder / "values.schema.json").read_text()
    definitions = shared(yaml.safe_load((chart.source / "crds" / "trainingjobs.yaml").read_text()))
    assert schema_text(schema(json.loads(bounds), found, definitions)) == bounds, "run `make generate`"


def test_every_value_is_described(found: list[Section]) -> None:
    values = [value for section in found for value in section.values]
    assert len(values) > 150
    assert [value.name for value in values if not value.description] == []


def properties(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted names of all values that a schema knows, without those of definitions."""
    for key, part in schema.get("properties", {}).items():
        if key == "rollingUpdate" or prefix == "strategy.":
            continue
        yield f"{prefix}{key}"
        yield from properties(part, f"{prefix}{key}.")


def test_every_property_of_the_schema_is_a_value(chart: Chart, found: list[Section]) -> None:
    known = set(properties(json.loads((chart.folder / "values.schema.json").read_text())))
    values = {value.name for section in found for value in section.values}
    assert known - values == NOT_SHOWN


VALUES = """\
# The file.

# -- First ------
# About all of them.

# Outer, in
# two lines.
outer:
  # Inner | piped.
  inner: "a: b"
  list: []

# -- Second ------
last: 1
"""


def test_a_comment_describes_the_value_below_it() -> None:
    first, second = sections(VALUES)
    assert (first.title, first.introduction) == ("First", "About all of them.")
    assert first.values == (
        Value(("outer",), {"inner": "a: b", "list": []}, "Outer, in two lines."),
        Value(("outer", "inner"), "a: b", "Inner | piped."),
        Value(("outer", "list"), [], ""),
    )
    assert [value.name for value in second.values] == ["last"]


def test_a_line_that_is_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        sections("a:\n  - item\n")


def test_tables_stand_between_the_marks() -> None:
    begin, end = "<!-- values: `make generate` writes them from values.yaml -->", "<!-- end of values -->"
    text = readme(f"before\n{begin}\nold\n{end}\nafter\n", sections(VALUES))
    assert text.startswith(f"before\n{begin}\n\n### First\n\nAbout all of them.\n")
    assert '| `outer.inner` | `"a: b"` | Inner \\| piped. |' in text
    assert "old" not in text
    assert text.endswith(f"{end}\nafter\n")


def test_a_readme_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no lines"):
        readme("nothing", [])


def test_a_schema_of_the_api_becomes_one_that_refuses_unknown_fields() -> None:
    api = {
        "type": "object",
        "x-kubernetes-validations": [{"rule": "true"}],
        "properties": {
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "affinity": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        },
    }
    found = definition(api)
    assert found["additionalProperties"] is False
    assert "x-kubernetes-validations" not in found
    assert found["properties"]["labels"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert found["properties"]["affinity"] == {"$ref": "#/definitions/affinity"}
    assert found["properties"]["list"]["items"]["additionalProperties"] is False
