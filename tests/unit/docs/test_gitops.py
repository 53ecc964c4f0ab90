"""What docs/gitops.md shows is what the tools and the API server take. `tests/unit/gitops` runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from unit.docs.pages import blocks
from unit.gitops.testdata import CONFIG, EXAMPLES
from unit.given.crds import defects, with_defaults

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "gitops.md").read_text()
BLOCKS: list[dict[str, Any]] = list(blocks(PAGE, "yaml"))
OURS = [block for block in BLOCKS if block.get("apiVersion") == "modelwright.dev/v1alpha1"]
PLURALS = {"TrainingJob": "trainingjobs", "ModelVersion": "modelversions"}


@pytest.mark.parametrize("body", OURS, ids=lambda body: body["kind"])
def test_the_manifests_are_valid(body: dict[str, Any]) -> None:
    plural = PLURALS[body["kind"]]

    assert defects(plural, "spec", with_defaults(plural, body["spec"])) == []


def test_there_are_blocks_of_every_tool() -> None:
    kinds = {block.get("kind") for block in BLOCKS}
    assert {"AppProject", "Kustomization", "TrainingJob", "ModelVersion"} <= kinds


def test_the_table_of_actions_names_all_of_them() -> None:
    section = PAGE.partition("### Actions")[2].partition("\n##")[0]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("|")]
    named = sorted(name for row in rows for name in re.findall(r"`([a-z-]+)`", row))
    assert named == sorted(name for actions in EXAMPLES.values() for name in actions)


def test_the_policy_names_actions_that_there_are() -> None:
    lines = re.findall(r"action/modelwright\.dev/(\w+)/([a-z*-]+),", PAGE)
    assert lines
    assert all(action == "*" or action in EXAMPLES[kind] for kind, action in lines)


def test_the_command_names_the_file_for_argo_cd() -> None:
    (named,) = re.findall(r"--patch-file (\S+)", PAGE)
    assert ROOT / named == CONFIG


def test_each_file_of_the_examples_that_kubectl_would_read_is_a_manifest() -> None:
    read = [path for path in (ROOT / "examples").glob("**/*") if path.suffix in {".yaml", ".yml", ".json"}]
    assert len(read) > 20
    for path in read:
        found = list(blocks(f"```yaml\n{path.read_text()}\n```", "yaml"))
        assert all({"apiVersion", "kind", "metadata"} <= set(body) for body in found), path
