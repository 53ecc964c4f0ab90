"""A user at a terminal, and the API server that his kubeconfig leads to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.cli.desk import Desk, Run, a_desk, kubeconfig
from unit.cli.given import a_canary, edited

from modelwright.cli import following
from modelwright.cli.main import run as run_command
from modelwright.engine.backoff import Backoff


@pytest.fixture
def desk() -> Iterator[Desk]:
    with a_desk(edited(a_canary())) as found:
        yield found


@pytest.fixture
def command(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command as the user does whose kubeconfig leads to the desk; gives code and words."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, desk.url, namespace="team")))
    monkeypatch.setattr(following, "PAUSES", Backoff(base=0.01, cap=0.01))
    monkeypatch.setattr(following, "TICK", 0.05)

    def run_it(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["modelwright", *words])
        code = run_command()
        told = capsys.readouterr()
        return code, told.out + told.err

    return run_it


@pytest.fixture
def run(command: Run) -> Run:
    """The same, of the commands about rollouts."""
    return lambda *words: command("rollout", *words)
