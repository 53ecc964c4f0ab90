"""The admin port: metrics for Prometheus and the operator, health for the kubelet. It stays open until the end."""

import asyncio
from collections.abc import Callable
from functools import partial

from prometheus_client import CONTENT_TYPE_LATEST

from modelwright_serving import rollout_view
from modelwright_serving.http import health, responses
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.http.routes import Routes
from modelwright_serving.limits import ADMIN
from modelwright_serving.metrics import Metrics
from modelwright_serving.state import State


class _Scrapes:
    """GET /metrics, in one view: rendered at most once in `scrape_seconds`, for all who wait for it then."""

    takes_body = False
    _head = responses.head(200, CONTENT_TYPE_LATEST.encode())

    def __init__(self, render: Callable[[], bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._render = render
        self._loop = loop
        self._waiting: list[Exchange] = []
        self._next = loop.time()

    def handle(self, exchange: Exchange) -> None:
        self._waiting.append(exchange)
        if len(self._waiting) == 1:
            self._loop.call_at(self._next, self._answer)

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._next = self._loop.time() + ADMIN.scrape_seconds
        response = Response(200, self._head, self._render())
        for exchange in waiting:
            exchange.respond(response)


def routes(metrics: Metrics, state: State, loop: asyncio.AbstractEventLoop) -> Routes:
    """The paths of the admin port."""
    table = Routes(
        lambda path: responses.error(
            404, f"there is nothing at {path[:200]}; try /metrics, /v2/health/ready or /healthz"
        )
    )
    alive = responses.json(200, b'{"status":"ok"}')
    health.add(table, state)
    table.get("/healthz", lambda: alive)
    for path, render in (
        ("/metrics", metrics.render),
        ("/metrics?view=rollout", partial(rollout_view.render, metrics)),
    ):
        table.add(path, _Scrapes(render, loop), b"GET", b"HEAD")
    return table
