"""A real Prometheus scrapes real servers in a rollout, and an operator: every panel of every dashboard has data."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from dashboards import DASHBOARDS
from support import prometheus
from unit.dashboards.series import operator_metrics
from unit.dashboards.test_dashboards import expressions
from unit.serving import grpc_caller, models
from unit.serving.harness import NAME, Served, matrix, serving
from unit.serving.traffic import rollout

from modelwright.api.monitoring import Objectives
from modelwright.inferenceservice.objectives.groups import groups
from modelwright.inferenceservice.objectives.indicators import indicators

TEAM, JOB = "team", "modelwright-operator-metrics"
PATIENCE = 60.0
VALUES = {"$__rate_interval": "10s", "$namespace": TEAM, "$service": NAME, "$family": NAME, "$job": JOB}


@contextmanager
def operator() -> Iterator[int]:
    """The metrics of an operator that works between scrapes, over HTTP; gives its port."""
    metrics = operator_metrics()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            metrics.reconciled("InferenceService", "Done", 0.01)
            body = metrics.text()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def calling(served: Served, model: models.Cancer) -> Iterator[None]:
    """Callers, until the end: over HTTP and gRPC, right requests and wrong ones."""
    ended = threading.Event()

    def call() -> None:
        with grpc_caller.caller(served.grpc_port) as caller:
            while not ended.wait(0.05):
                served.infer(matrix(model.rows[:2]))
                served.infer({"inputs": []})
                caller.infer(grpc_caller.raw(model.rows[:1]))

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def scraped(job: str, *targets: tuple[int, dict[str, str]]) -> dict[str, Any]:
    """As the monitors of the chart have it."""
    found = [{"targets": [f"127.0.0.1:{port}"], "labels": labels} for port, labels in targets]
    return {"job_name": job, "honor_labels": job == JOB, "static_configs": found}


def pod(served: Served, revision: str) -> tuple[int, dict[str, str]]:
    own = {"pod": f"{NAME}-{revision}-x", "pod_revision": revision}
    return served.admin_port, {"namespace": TEAM, "inferenceservice": NAME, **own}


def rules() -> list[dict[str, Any]]:
    """Those of a service with both objectives, recorded each second."""
    both = Objectives.model_validate({"availability": 0.999, "latencySeconds": 0.1})
    made = (group for each in indicators(both, TEAM, NAME) for group in groups(each, TEAM, NAME, 30))
    return [{**group, "interval": "1s"} for group in made]


def asked(expression: str) -> str:
    """The expression as Grafana sends it."""
    for variable, value in VALUES.items():
        expression = expression.replace(variable, value)
    return expression


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has seen a rollout."""
    model, folder = models.cancer(), tmp_path_factory.mktemp("live")
    paths = [folder / each / "model.onnx" for each in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(model.content)
    with (
        serving(paths[1], "--model-version", f"{NAME}-2") as canary,
        rollout.stable(
            paths[0], "--model-version", f"{NAME}-1", port=canary.wait_ready().http_port, weight=30, mirror=50
        ) as stable,
        operator() as port,
        calling(stable.served, model),
    ):
        pods = scraped("serving", pod(stable.served, "one"), pod(canary, "two"))
        of_operator = scraped(JOB, (port, {"namespace": "modelwright-system", "pod": "operator-x"}))
        with prometheus.running(pods, of_operator, groups=rules()) as found:
            yield found


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_every_panel_has_data_with_the_labels_of_its_legend(url: str, dashboard: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    waiting = list(expressions(dashboard))
    while waiting:
        waiting = [each for each in waiting if not has_data(url, each[1], each[2])]
        titles = {(panel.title, asked(expression)) for panel, expression, _ in waiting}
        assert time.monotonic() < deadline, f"no data for {titles}"


def has_data(url: str, expression: str, legend: str) -> bool:
    """True if the answer has numbers; each series of it has what its legend names."""
    found = prometheus.ask(url, asked(expression))
    for labels, _ in found:
        missing = [part for part in legend.split("{{")[1:] if part.split("}}")[0] not in labels]
        assert not missing, (expression, labels, missing)
    time.sleep(0.02)
    return any(value != "NaN" for _, value in found)


def test_callers_are_counted_once_though_copies_and_failures_are_counted_too(url: str) -> None:
    """Copies, and what the canary refuses before the stable revision does, are no answers that callers got."""
    counted = 'sum(modelwright_requests_total{namespace="team"})'
    copies = 'sum(modelwright_unseen_requests_total{namespace="team"})'
    prometheus.wait_for(url, f"{copies} > 0")
    ((_, seen),) = prometheus.ask(url, f"({counted} - {copies}) / {counted}")
    assert 0.5 < float(seen) < 1
