"""A release is made of what is committed, under the version that its tag says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from release import __main__ as program

WHO = ("-c", "user.name=x", "-c", "user.email=x@example.com")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, of version 1.2.3."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, *WHO, "commit", "--quiet", "--message", "Begin")
    monkeypatch.setattr(program, "REPOSITORY", folder)
    monkeypatch.setattr("sys.argv", ["release", "--output", str(tmp_path / "dist")])
    return folder


def git(folder: Path, *words: str) -> None:
    """Run Git there."""
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


def test_a_tree_with_changes_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "new").touch()
    assert program.main() == 1
    said = capsys.readouterr().out
    assert "changes that are not committed; commit or remove them first" in said
    assert "?? new" in said


def test_a_tag_of_another_version_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(repository, "tag", "v1.2.4")
    assert program.main() == 1
    assert "the tag v1.2.4, and pyproject.toml has version 1.2.3: make them agree" in capsys.readouterr().out


@pytest.mark.parametrize("registry", ["https://r.example", "R.example", "r.example/"])
def test_what_is_no_registry_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], registry: str
) -> None:
    monkeypatch.setattr("sys.argv", ["release", "--registry", registry])
    with pytest.raises(SystemExit):
        program.main()
    assert "--registry has to be HOST[:PORT][/PATH]" in capsys.readouterr().err
