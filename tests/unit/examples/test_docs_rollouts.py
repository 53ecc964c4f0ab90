"""What docs/rollouts.md teaches is true: its manifests hold, and its words are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from unit.given.crds import defects

from modelwright.api.requests import Action

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/rollouts.md").read_text()
MODEL = {"version": "churn-12"}
BLOCKS: list[dict[str, Any]] = [
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_manifest_is_accepted(block: dict[str, Any]) -> None:
    spec = block.get("spec") or {"model": MODEL, **block}
    assert defects("inferenceservices", "spec", spec) == []


def test_every_reason_that_it_names_is_one_of_the_code() -> None:
    code = "".join(path.read_text() for path in (ROOT / "operator/modelwright").rglob("*.py"))
    table = PAGE.split("## What you see")[1].split("`Available` is True")[0]
    reasons = re.findall(r"^\| [^|]+ \| `(\w+)` \|", table, re.MULTILINE)
    assert len(reasons) >= 9
    assert [reason for reason in reasons if f'"{reason}"' not in code] == []


def test_every_request_is_explained_and_no_other() -> None:
    table = PAGE.split("| action | what follows |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) == {*get_args(Action)}
