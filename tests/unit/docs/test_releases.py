"""The page on releases names every file of a release, and what is called."""

from __future__ import annotations

import re
from pathlib import Path

from release.notes import files

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "releases.md").read_text()


def test_every_file_of_a_release_is_in_the_table() -> None:
    table = PAGE.partition("## What a release is")[2].partition("\n\n`REGISTRY")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == [name for name, _ in files("VERSION")]


def test_the_targets_and_programs_are_there() -> None:
    assert "\nrelease: venv ##" in (ROOT / "Makefile").read_text()
    assert (ROOT / "release" / "push.py").exists()
    assert "python -m release.push" in PAGE
    assert ".github/workflows/release.yaml" in PAGE
    assert (ROOT / ".github" / "workflows" / "release.yaml").exists()
    for named in re.findall(r"`(tests/unit/\w+)`", PAGE):
        assert (ROOT / named).is_dir()
