"""The admin port: metrics for Prometheus and the operator, health for the kubelet. It stays open until the end."""

import asyncio
from functools import partial

from prometheus_client import CONTENT_TYPE_LATEST

from modelwright_serving import rollout_view
from modelwright_serving.http import health, responses
from modelwright_serving.http.routes import Routes
from modelwright_serving.metrics import Metrics
from modelwright_serving.monitor import Monitor
from modelwright_serving.scrapes import Scrapes
from modelwright_serving.state import State
from modelwright_serving.watching.watch import Watch

_TEXT = responses.head(200, CONTENT_TYPE_LATEST.encode())


def routes(metrics: Metrics, state: State, watch: Watch, loop: asyncio.AbstractEventLoop) -> Routes:
    """The paths of the admin port."""
    table = Routes(
        lambda path: responses.error(
            404, f"there is nothing at {path[:200]}; try /metrics, /monitor, /v2/health/ready or /healthz"
        )
    )
    alive = responses.json(200, b'{"status":"ok"}')
    health.add(table, state)
    table.get("/healthz", lambda: alive)
    for path, render in (
        ("/metrics", metrics.render),
        ("/metrics?view=rollout", partial(_for_rollout, metrics)),
    ):
        table.add(path, Scrapes(render, _TEXT, loop), b"GET", b"HEAD")
    monitor = Monitor(watch, state, loop)
    table.get_queried("/monitor", monitor.queried)
    table.get("/monitor/profile", monitor.profile)
    return table


def _for_rollout(metrics: Metrics) -> bytes:
    metrics.predicted.asked()
    return rollout_view.render(metrics)
