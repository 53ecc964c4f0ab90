"""What docs/stores.md shows can be applied, and its tables have every reason and every key of a Secret."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from unit.docs.pages import blocks

from modelwright.api.base import Model
from modelwright.api.inferenceservice import InferenceServiceSpec
from modelwright.api.stores import SECRET_KEYS, Store
from modelwright.api.trainingjob import Artifacts, Data, TrainingJobSpec

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "stores.md").read_text()
KINDS: dict[str, type[Model]] = {
    "TrainingJob": TrainingJobSpec,
    "InferenceService": InferenceServiceSpec,
    "data": Data,
    "artifacts": Artifacts,
    "store": Store,
}
DOCUMENTS = list(blocks(PAGE, "yaml"))


def parts() -> Iterator[tuple[str, Any]]:
    """What the blocks hold, by what it is: the spec of a manifest, or a field."""
    for document in DOCUMENTS:
        if "kind" in document:
            yield document["kind"], document.get("spec")
        else:
            yield from document.items()


@pytest.mark.parametrize(("kind", "part"), [part for part in parts() if part[0] in KINDS])
def test_a_manifest_is_taken(kind: str, part: dict[str, Any]) -> None:
    if kind == "data" and "target" not in part:
        part = {**part, "target": "churned"}
    KINDS[kind].model_validate(part)


def test_every_kind_of_block_is_known() -> None:
    assert {kind for kind, _ in parts()} == {*KINDS, "stores"}


def test_the_values_are_taken_by_the_chart() -> None:
    chart = ROOT / "charts" / "modelwright"
    schema = json.loads((chart / "values.schema.json").read_text())
    values = yaml.safe_load((chart / "values.yaml").read_text())
    shown = [document for document in DOCUMENTS if "stores" in document]
    assert len(shown) == 2
    for given in shown:
        Draft202012Validator(schema).validate(
            {
                **values,
                "stores": {**values["stores"], **given["stores"]},
                "artifacts": {**values["artifacts"], **given.get("artifacts", {})},
            }
        )


def test_the_policies_are_json() -> None:
    found = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert len([json.loads(block) for block in found]) == 3


@pytest.mark.parametrize("scheme", SECRET_KEYS)
def test_every_key_of_a_secret_is_named(scheme: str) -> None:
    assert [key for key in SECRET_KEYS[scheme] if f"`{key}`" not in PAGE] == []


def raised() -> set[str]:
    """The reasons of the library: the first argument of each StoreError. Two of them no step passes on: one is of the
    operator's own document, and for a file that is too large each step has its own word."""
    found = set()
    for file in (ROOT / "stores" / "modelwright_stores").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "StoreError"
            ):
                found |= {each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)}
    return {str(reason) for reason in found} - {"DocumentInvalid", "FileTooLarge"}


def test_the_table_has_every_reason() -> None:
    table = PAGE.partition("## When something is wrong")[2].partition("\n## ")[0]
    listed = set(
        re.findall(r"`([A-Z][A-Za-z]+)`", "".join(re.findall(r"^\| (`[A-Z].*?) \|", table, re.MULTILINE)))
    )
    assert raised() - listed == set()
    steps = (ROOT / "docs" / "contracts" / "step.schema.json").read_text()
    assert {reason for reason in listed if f'"{reason}"' not in steps} == set()
