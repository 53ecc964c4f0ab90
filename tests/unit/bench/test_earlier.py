"""An earlier revision is checked out in a folder of its own, and nothing of it stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bench.earlier import checkout
from bench.generator import BenchError
from cluster.paths import REPOSITORY


def worktrees() -> str:
    command = ["git", "-C", str(REPOSITORY), "worktree", "list"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_its_files_are_there_until_the_block_ends() -> None:
    with checkout("HEAD") as folder:
        assert (folder / "serving" / "modelwright_serving" / "main.py").exists()
        assert str(folder) in worktrees()

    assert not Path(folder).exists()
    assert str(folder) not in worktrees()


def test_a_revision_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(BenchError, match="no-such-revision"), checkout("no-such-revision"):
        pass
