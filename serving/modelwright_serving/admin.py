"""The admin port: metrics for Prometheus, health for the kubelet. It stays open until the end."""

from prometheus_client import CONTENT_TYPE_LATEST

from modelwright_serving.http import health, responses
from modelwright_serving.http.responses import Response
from modelwright_serving.http.routes import Routes
from modelwright_serving.metrics import Metrics
from modelwright_serving.state import State


def routes(metrics: Metrics, state: State) -> Routes:
    """The paths of the admin port."""
    table = Routes(
        lambda path: responses.error(
            404, f"there is nothing at {path[:200]}; try /metrics, /v2/health/ready or /healthz"
        )
    )
    alive = responses.json(200, b'{"status":"ok"}')
    head = responses.head(200, CONTENT_TYPE_LATEST.encode())
    health.add(table, state)
    table.get("/healthz", lambda: alive)
    table.get("/metrics", lambda: Response(200, head, metrics.render()))
    return table
