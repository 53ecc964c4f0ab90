"""A checkout of an earlier revision, in a temporary folder, so that its server runs beside the present one."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.generator import BenchError
from cluster.paths import REPOSITORY


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The files of a commit, until the block ends; BenchError if there is no such commit."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "checkout"
        _git("worktree", "add", "--quiet", "--detach", str(folder), revision)
        try:
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*words: str) -> None:
    command = ["git", "-C", str(REPOSITORY), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"git {words[0]} {words[1]}: {done.stderr.strip()}")
