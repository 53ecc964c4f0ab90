"""`status` reads what was measured of the versions, and does without it where it cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.cli.desk import Desk, Run, status
from unit.cli.given import a_rolled_back_canary, edited
from unit.cli.test_watching import later


def a_version(**metrics: float) -> dict[str, Any]:
    return {"status": {"metrics": [{"name": name, "value": value} for name, value in metrics.items()]}}


def test_the_metrics_of_both_versions_are_shown(desk: Desk, run: Run) -> None:
    desk.versions = {"churn-1": a_version(auc=0.91), "churn-2": a_version(auc=0.93)}
    code, text = run("status", "churn")
    assert code == 0
    assert "  auc  0.91     0.93" in text
    assert json.loads(run("status", "churn", "-o", "json")[1])["metrics"]["churn-2"][0]["value"] == 0.93


@pytest.mark.parametrize(
    "answer",
    [(404, status("gone")), (403, status("no")), (200, "[]"), (503, status("etcd")), (500, "<html>")],
)
def test_a_version_that_cannot_be_read_is_left_out(desk: Desk, run: Run, answer: tuple[int, str]) -> None:
    desk.versions = {"churn-2": a_version(auc=0.93)}
    service = (200, json.dumps(desk.body))
    desk.answers = [("GET", *service), ("GET", *answer)]
    code, text = run("status", "churn")
    assert code == 0
    assert "  auc  0.93" in text


def test_a_watch_reads_each_version_once(desk: Desk, run: Run) -> None:
    later(desk, lambda: desk.changes({"status": edited(a_rolled_back_canary())["status"]}))
    assert run("status", "churn", "--watch")[0] == 1
    read = [path for _, path, _ in desk.requests if "/modelversions/" in path]
    assert len(read) == len(set(read)) == 2


def test_a_watch_reads_a_version_again_when_the_cluster_could_not_answer(desk: Desk, run: Run) -> None:
    desk.versions = {"churn-1": a_version(auc=0.91)}
    desk.answers = [("GET", 200, json.dumps(desk.body)), ("GET", 503, status("etcd"))]
    later(desk, lambda: desk.changes({"status": edited(a_rolled_back_canary())["status"]}))
    *_, last, _ = run("status", "churn", "--watch", "-o", "json")[1].splitlines()
    assert json.loads(last)["metrics"]["churn-1"][0]["value"] == 0.91
