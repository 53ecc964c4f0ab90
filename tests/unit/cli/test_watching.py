"""`status --watch` while the API server has its moods: it ends with the rollout, and not before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from support.commandline import FOREGROUND
from unit.cli.desk import Desk, Run, kubeconfig, status
from unit.cli.given import a_rolled_back_canary, a_served_version, edited


def test_a_watch_ends_with_the_rollout(desk: Desk, run: Run) -> None:
    end = edited(a_rolled_back_canary())
    later(desk, lambda: desk.changes({"status": end["status"]}))
    code, text = run("status", "churn", "--watch")
    assert code == 1
    first, decision, last, error = text.splitlines()
    assert "InProgress: churn-2 answers 10 %" in first
    assert "was rolled back at step 1: ErrorRateTooHigh" in decision
    assert "RolledBack: churn-2 was rolled back" in last
    assert error.startswith("error: RolledBack")


def test_a_rollout_that_ends_well_ends_the_watch_well(desk: Desk, run: Run) -> None:
    end = edited(a_served_version())
    end["status"]["conditions"][0]["observedGeneration"] = end["status"]["observedGeneration"] = 2
    later(desk, lambda: desk.changes({"status": {"canary": None, **end["status"]}}))
    assert run("status", "churn", "--watch")[0] == 0


@pytest.mark.parametrize(
    "mishap",
    [
        lambda desk: desk.tells("ERROR", {"code": 410, "reason": "Expired", "message": "too old"}),
        lambda desk: desk.breaks_off(),
        lambda desk: desk.tells("BOOKMARK", {"metadata": {"resourceVersion": "7"}}) or desk.breaks_off(),
    ],
    ids=["expired", "broken off", "after a bookmark"],
)
def test_a_watch_that_ends_early_goes_on(desk: Desk, run: Run, mishap: Callable[[Desk], None]) -> None:
    end = edited(a_rolled_back_canary())

    def happens() -> None:
        mishap(desk)
        wait_for_watches(desk, 2)
        desk.changes({"status": end["status"]})

    later(desk, happens)
    assert run("status", "churn", "--watch")[0] == 1
    assert desk.seen("GET") >= 2


def test_an_outage_is_told_and_waited_out(desk: Desk, run: Run) -> None:
    desk.answers = [("WATCH", 503, status("etcd leader lost"))]
    later(desk, lambda: desk.changes({"status": edited(a_rolled_back_canary())["status"]}))
    code, text = run("status", "churn", "--watch")
    assert code == 1
    assert "etcd leader lost; trying again" in text


def test_a_permission_that_is_missing_to_watch_is_told(desk: Desk, run: Run) -> None:
    desk.answers = [("WATCH", 403, status('User "jane" cannot watch'))]
    code, text = run("status", "churn", "--watch")
    assert code == 4
    assert "jane may not watch" in text


def test_an_object_that_goes_away_ends_the_watch(desk: Desk, run: Run) -> None:
    later(desk, lambda: desk.tells("DELETED", desk.body))
    code, text = run("status", "churn", "--watch")
    assert code == 3
    assert "was deleted" in text


def test_a_watch_has_a_timeout(run: Run) -> None:
    code, text = run("status", "churn", "--watch", "--timeout", "0.2s")
    assert code == 5
    assert "the rollout has not ended within 0.2 s" in text


def test_ctrl_c_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modelwright.cli.viewing.Log.tick", interrupted)
    assert run("status", "churn", "--watch")[0] == 130


SLOW_TO_END = (
    "import atexit, time; atexit.register(time.sleep, 60); from modelwright.cli.main import main; main()"
)


def test_ctrl_c_ends_it_at_once_however_long_the_interpreter_would_take_to_end(
    desk: Desk, tmp_path: Path
) -> None:
    words = [*FOREGROUND, sys.executable, "-c", SLOW_TO_END, "rollout", "status", "churn", "--watch"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig(tmp_path, desk.url, namespace="team"))}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert "InProgress" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        try:
            assert watching.wait(timeout=20) == 130
        finally:
            watching.kill()


def later(desk: Desk, action: Callable[[], None]) -> None:
    """Does it as soon as somebody watches."""

    def wait() -> None:
        wait_for_watches(desk, 1)
        action()

    Thread(target=wait, daemon=True).start()


def wait_for_watches(desk: Desk, count: int) -> None:
    while len(desk.watches) < count:
        time.sleep(0.01)
