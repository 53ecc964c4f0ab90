"""Answers the kubelet and Prometheus: /livez, /readyz and /metrics. Knows what to call, not what is checked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

# What is wrong; empty if nothing is.
Check = Callable[[], str]


class HealthServer:
    """A small HTTP server beside the work, in the same event loop: when that hangs, it hangs."""

    def __init__(self, livez: Check, readyz: Check, metrics: Callable[[], bytes]) -> None:
        self._app = web.Application()
        self._app.router.add_get("/livez", _answer(livez))
        self._app.router.add_get("/readyz", _answer(readyz))
        self._app.router.add_get("/metrics", _metrics(metrics))
        self._stack = AsyncExitStack()
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Starts the server; port 0 takes a free one."""
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host, port).start()
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stops the server."""
        await self._stack.aclose()


def _answer(check: Check) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        wrong = check()
        return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200)

    return handler


def _metrics(text: Callable[[], bytes]) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return handler
