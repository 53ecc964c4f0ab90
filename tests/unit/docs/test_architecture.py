"""The map is of this tree: every package is on it, and what it names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAMS = ("operator/modelwright", "serving/modelwright_serving", "training/modelwright_training")
LIBRARY = "stores/modelwright_stores"
TEXTS = ("docs/architecture.md", "CONTRIBUTING.md")


def named(text: str) -> set[str]:
    """What stands in backticks, outside of blocks."""
    plain = re.sub(r"^```.*?^```", "", (ROOT / text).read_text(), flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", plain))


def packages() -> Iterator[str]:
    """The packages of the three programs and of their library."""
    for program in (*PROGRAMS, LIBRARY):
        for file in sorted((ROOT / program).rglob("__init__.py")):
            yield str(file.parent.relative_to(ROOT))


@cache
def definitions() -> set[str]:
    """Every function, class and method of the operator and the server, behind the name of its module."""
    found = set()
    for file in (file for program in PROGRAMS[:2] for file in (ROOT / program).rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(f"{file.stem}.{node.name}")
            if isinstance(node, ast.ClassDef):
                methods = (n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
                found |= {f"{file.stem}.{node.name}.{method.name}" for method in methods}
    return found


def test_every_package_has_its_paragraph() -> None:
    rows = re.findall(r"^\| `([\w/]+)` \|", (ROOT / TEXTS[0]).read_text(), re.MULTILINE)
    assert set(packages()) <= set(rows)
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("text", TEXTS)
def test_every_path_is_there(text: str) -> None:
    paths = {name for name in named(text) if re.fullmatch(r"[\w.-]+/[\w./-]+", name)}
    paths = {path for path in paths if not path.startswith("modelwright.dev/")}
    assert paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_every_function_on_a_path_is_there() -> None:
    functions = {name for name in named(TEXTS[0]) if re.fullmatch(r"[a-z_]+(\.[A-Za-z_]+)+", name)}
    functions = {name for name in functions if name.rpartition(".")[2] not in {"py", "toml"}}
    assert len(functions) > 10
    assert functions - definitions() == set()


@pytest.mark.parametrize("text", TEXTS)
def test_every_command_is_a_target(text: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = {name.split()[1] for name in named(text) if name.startswith("make ")}
    assert commands
    assert commands - targets == set()
