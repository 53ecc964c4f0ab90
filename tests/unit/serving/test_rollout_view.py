"""What the operator reads: little, in a fixed order, and the same numbers as Prometheus reads."""

from __future__ import annotations

import pytest
from unit.serving import models
from unit.serving.harness import Served, matrix

from modelwright_serving.metrics import Metrics
from modelwright_serving.rollout_view import render
from modelwright_serving.traffic.compare import Comparison, Uncompared
from modelwright_serving.traffic.counts import CopyOutcome, Outcome


def test_only_what_has_happened_is_shown_in_a_fixed_order() -> None:
    metrics = Metrics("churn", "7")
    started = f"process_start_time_seconds {metrics.started}"
    assert render(metrics).decode().splitlines() == [started]
    for seconds in (0.0100001, 0.0100002, 0.5):
        metrics.http.done(200, seconds)
    metrics.http.done(400, 1e-6)
    metrics.grpc.done("OK", 0.5)
    metrics.grpc.done("INTERNAL", 1000.0)
    metrics.traffic.revision("older")
    counts = metrics.traffic.revision("churn-5f7")
    counts.outcomes.update({Outcome.ANSWERED: 5, Outcome.FAILED: 1})
    counts.copied[CopyOutcome.COMPARED] += 3
    counts.drop(Uncompared.BUSY)
    for comparison in (
        Comparison(4, 3, 4, 0.0),
        Comparison(4, 4, 4, 0.02),
        Comparison(numbers=1, non_finite=True),
    ):
        counts.add(comparison)
    assert render(metrics).decode().splitlines() == [
        started,
        'modelwright_requests_total{code="200"} 3',
        'modelwright_requests_total{code="400"} 1',
        'modelwright_requests_total{code="INTERNAL"} 1',
        'modelwright_requests_total{code="OK"} 1',
        'modelwright_request_duration_seconds_cell{le="2e-05"} 1',
        'modelwright_request_duration_seconds_cell{le="0.01047"} 2',
        'modelwright_request_duration_seconds_cell{le="0.5"} 2',
        'modelwright_request_duration_seconds_cell{le="+Inf"} 1',
        'modelwright_delegated_requests_total{revision="churn-5f7",outcome="Answered"} 5',
        'modelwright_delegated_requests_total{revision="churn-5f7",outcome="Failed"} 1',
        'modelwright_shadow_requests_total{revision="churn-5f7",outcome="Compared"} 3',
        'modelwright_shadow_requests_total{revision="churn-5f7",outcome="Dropped"} 1',
        'modelwright_shadow_uncompared_total{revision="churn-5f7",reason="Busy"} 1',
        'modelwright_shadow_labelled_requests_total{revision="churn-5f7"} 2',
        'modelwright_shadow_agreement_total{revision="churn-5f7"} 1.75',
        'modelwright_shadow_non_finite_requests_total{revision="churn-5f7"} 1',
        'modelwright_shadow_difference_cell{revision="churn-5f7",le="0"} 2',
        'modelwright_shadow_difference_cell{revision="churn-5f7",le="0.02081"} 1',
    ]


def test_the_admin_port_shows_it_beside_the_whole(server: Served, cancer: models.Cancer) -> None:
    server.infer(matrix(cancer.rows[:3]))
    whole = server.call("GET", "/metrics", port=server.admin_port)
    view = server.call("GET", "/metrics?view=rollout", port=server.admin_port)
    assert view.headers["content-type"] == whole.headers["content-type"]
    lines = view.body.decode().splitlines()
    cells = [line for line in lines if line.startswith("modelwright_request_duration_seconds_cell{")]
    counts = [line for line in whole.body.decode().splitlines() if "request_duration_seconds_count{" in line]
    answered = sum(float(line.split()[-1]) for line in counts)
    assert sum(int(line.split()[-1]) for line in cells) == answered > 0
    assert b"_cell{" not in whole.body
    assert float(lines[0].removeprefix("process_start_time_seconds ")) == server.metric(
        "process_start_time_seconds"
    )
    assert b"process_cpu" not in view.body


@pytest.mark.parametrize("query", ["view=all", "", "x=1"])
def test_another_query_changes_nothing(server: Served, query: str) -> None:
    assert b"process_" in server.call("GET", f"/metrics?{query}", port=server.admin_port).body
