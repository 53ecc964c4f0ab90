"""The documents that pass between the programs, as docs/contracts has them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[3] / "docs" / "contracts"


@cache
def schema(name: str) -> dict[str, Any]:
    """One of the schemas."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text())
    return found


def defects(name: str, document: object) -> list[str]:
    """Where a document is unlike its schema."""
    errors = Draft202012Validator(schema(name)).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in errors]


def definition(name: str, part: str) -> dict[str, Any]:
    """A part of a schema that has a name."""
    found: dict[str, Any] = schema(name)["$defs"][part]
    return found
