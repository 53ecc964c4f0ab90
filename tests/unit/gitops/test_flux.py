"""What Flux makes of every state: by kstatus alone, and by the health check expressions of docs/gitops.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.gitops.tools import Tools
from unit.docs.pages import blocks
from unit.gitops.states import ALL, KSTATUS, STATES
from unit.given.checks import kstatus

PAGE = (Path(__file__).parents[3] / "docs" / "gitops.md").read_text()
(KUSTOMIZATION,) = [
    found for found in blocks(PAGE, "yaml") if found.get("apiVersion") == "kustomize.toolkit.fluxcd.io/v1"
]
EXPRESSIONS = {each["kind"]: each for each in KUSTOMIZATION["spec"]["healthCheckExprs"]}
Bodies = Mapping[tuple[str, str], dict[str, Any]]
# States of a service in which callers are answered while something else goes on.
ANSWERED = {
    "progressing_starting", "progressing_canary-starts", "progressing_canary", "progressing_blue-green",
    "progressing_completing", "progressing_baking", "progressing_stable-lost", "progressing_tried-again-later",
    "deleting_canary",
}  # fmt: skip


def expected(kind: str, name: str) -> str:
    """By the expressions of the page."""
    word = name.partition("_")[0]
    if kind == "InferenceService":
        return "Current" if word == "suspended" or name in ANSWERED else KSTATUS[word]
    # The tool itself sees that an object is being deleted.
    last = {"deleting_verified": "Current", "deleting_running": "InProgress"}
    return last.get(name, "Current" if word == "suspended" else KSTATUS[word])


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_kstatus_alone(tools: Tools, bodies: Bodies, kind: str, name: str) -> None:
    body = bodies[kind, name]

    assert tools.kstatus(body) == kstatus(body) == KSTATUS[name.partition("_")[0]]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_the_expressions_of_the_page(tools: Tools, bodies: Bodies, kind: str, name: str) -> None:
    assert tools.judged(EXPRESSIONS[kind], bodies[kind, name]) == expected(kind, name)


def test_the_page_has_an_expression_for_each_kind() -> None:
    assert set(EXPRESSIONS) == set(STATES)
    assert KUSTOMIZATION["spec"]["wait"] is True
