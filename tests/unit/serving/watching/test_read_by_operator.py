"""What a real server says that it has counted is what the operator reads, also when it ends."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from unit.serving import models
from unit.serving.harness import matrix
from unit.serving.watching.test_monitor import cancer_profile, watched

from modelwright.checks.drift import Demands, judge
from modelwright.checks.monitored import Window
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.engine.objects import Key
from modelwright.inferenceservice.monitoring.reports import read_last_word
from modelwright.inferenceservice.monitoring.targets import MonitorTargets, Pod
from modelwright.sampling import http
from modelwright.sampling.monitor import Answer, MonitorReports

HOUR = 3600


async def ask(port: int) -> Answer:
    """What the operator makes of the answer of the server whose admin port this is."""
    async with http.session(reuse=True) as session:
        pod = Pod("pod", "127.0.0.1", HOUR)
        source = MonitorReports(session, port)
        service = Key(INFERENCE_SERVICES, "team", "churn")
        targets = MonitorTargets(service, "uid", "r", HOUR, (pod,), frozenset(), frozenset())
        return await source.ask(targets, pod, datetime.now(UTC))


def test_the_counts_of_a_server_are_read_and_its_last_word_is_the_same(
    cancer: models.Cancer, tmp_path: Path
) -> None:
    with watched(tmp_path, cancer.content, cancer_profile(cancer)) as server:
        assert asyncio.run(ask(server.admin_port)).report is not None
        for start in range(0, 500, 5):
            server.infer(matrix(cancer.rows[start : start + 5]))
        answer = asyncio.run(ask(server.admin_port))
        server.terminate()
        assert server.exit_code() == 0
    report, reference = answer.report, answer.reference
    word = read_last_word((tmp_path / "termination-log").read_text(), "pod")

    assert report is not None
    assert reference is not None
    assert reference.positive == 1
    windows = [Window.read(window, reference.profile) for window in report.windows().values()]
    assert sum(window.rows for window in windows) == 500
    assert judge(reference.profile, windows[-1], Demands(min_samples=50)).verdict in ("NoDrift", "Drifted")
    assert word is not None
    assert word.process == report.process
    assert word.after(report).keys() == report.windows().keys()
    assert json.dumps(word.after(report), sort_keys=True) == json.dumps(report.windows(), sort_keys=True)
