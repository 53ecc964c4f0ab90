"""Writes the chart's README and its schema from its values and the API: `python3 -m charts`."""

import json
from pathlib import Path

import yaml

from charts.definitions import shared
from charts.document import readme, schema, schema_text
from charts.values import sections

CHART = Path(__file__).parent / "modelwright"


def main() -> None:
    """Write both files where they are."""
    found = sections((CHART / "values.yaml").read_text())
    described = CHART / "README.md"
    described.write_text(readme(described.read_text(), found))
    bounds = CHART / "values.schema.json"
    definitions = shared(yaml.safe_load((CHART / "files" / "crds" / "trainingjobs.yaml").read_text()))
    bounds.write_text(schema_text(schema(json.loads(bounds.read_text()), found, definitions)))


if __name__ == "__main__":
    main()
