"""Writes the chart's README and its schema from its values: `python3 -m charts`."""

import json
from pathlib import Path

from charts.document import readme, schema, schema_text
from charts.values import sections

CHART = Path(__file__).parent / "modelwright"


def main() -> None:
    """Write both files where they are."""
    found = sections((CHART / "values.yaml").read_text())
    described = CHART / "README.md"
    described.write_text(readme(described.read_text(), found))
    bounds = CHART / "values.schema.json"
    bounds.write_text(schema_text(schema(json.loads(bounds.read_text()), found)))


if __name__ == "__main__":
    main()
