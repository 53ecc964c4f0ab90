"""The admin port: metrics and the liveness of the event loop. Never part of the traffic, so it stays until the end."""

from prometheus_client import CONTENT_TYPE_LATEST

from modelwright_serving.http import responses
from modelwright_serving.http.responses import Response
from modelwright_serving.http.routes import Routes
from modelwright_serving.metrics import Metrics


def routes(metrics: Metrics) -> Routes:
    """The paths of the admin port."""
    table = Routes(
        lambda path: responses.error(404, f"there is nothing at {path[:200]}; try /metrics or /healthz")
    )
    alive = responses.json(200, b'{"status":"ok"}')
    head = responses.head(200, CONTENT_TYPE_LATEST.encode())
    table.get("/healthz", lambda: alive)
    table.get("/metrics", lambda: Response(200, head, metrics.render()))
    return table
