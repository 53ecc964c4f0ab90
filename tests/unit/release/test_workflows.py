"""The workflows are what GitHub understands, name no registry, and do what the Makefile has."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from cluster import programs
from cluster.paths import CACHE

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())


def test_actionlint_finds_nothing() -> None:
    if not shutil.which("go"):
        pytest.skip("Go is not installed: it compiles actionlint, in seconds")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "actionlint.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = programs.actionlint() / "actionlint"
    done = subprocess.run(
        [program, "-shellcheck=", "-pyflakes=", *WORKFLOWS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert len(WORKFLOWS) == 2


def test_the_release_is_made_by_the_makefile_for_the_registry_of_the_repository() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yaml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow[True]["push"]["tags"] == ["v*"]  # `on` is a truth value in YAML 1.1
    job = workflow["jobs"]["release"]
    assert job["env"]["REGISTRY"] == "${{ vars.REGISTRY }}"
    assert 'make release REGISTRY="$REGISTRY" SOURCE="$SOURCE"' in text
    assert "release.push" in text
    assert not re.search(r"[a-z0-9-]+\.(io|com|dev|org)\b", text)


def test_a_failure_within_a_pipe_ends_the_release() -> None:
    """GitHub runs a step with pipefail only where bash is named, and the step that pushes is a pipe."""
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())["jobs"]["release"]
    assert job["defaults"] == {"run": {"shell": "bash"}}
    steps = {step.get("name"): step for step in job["steps"]}
    assert "| tee" in steps["Push"]["run"]
    assert not [name for name, step in steps.items() if "shell" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_write_only_what_it_has_to(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    given = {name: job.get("permissions", {}) for name, job in workflow["jobs"].items()}
    assert given == (
        {"release": {"contents": "write", "packages": "write", "id-token": "write"}}
        if path.name == "release.yaml"
        else {"test": {}}
    )
