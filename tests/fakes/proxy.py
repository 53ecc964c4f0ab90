"""A proxy in front of a real API server that can lose what a watch says, end watches and refuse requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from kubernetes.aio.client import Configuration

from modelwright.engine.connection import session

HOP_HEADERS = {"Transfer-Encoding", "Content-Length", "Content-Encoding", "Connection", "Date"}


class Proxy:
    """Passes requests on, unless told otherwise."""

    def __init__(self, configuration: Configuration, upstream: aiohttp.ClientSession) -> None:
        self._host = configuration.host
        self._upstream = upstream
        self._endings: set[asyncio.Future[bytes]] = set()
        self.url = ""
        self.muted = False
        self.refusal: int | None = None
        self.writes: list[str] = []

    @property
    def watches(self) -> int:
        """How many watches stand."""
        return len(self._endings)

    def end_watches(self, code: int) -> None:
        """Ends every watch with an error event, as an API server does when it no longer has the version."""
        status = {"kind": "Status", "code": code, "message": "too old resource version"}
        line = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
        for ending in list(self._endings):
            ending.set_result(line)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        if self.refusal is not None:
            return web.json_response({"kind": "Status", "code": self.refusal}, status=self.refusal)
        if request.method != "GET" and "leases" not in request.path:
            self.writes.append(f"{request.method} {request.path}")
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        answer = await self._upstream.request(
            request.method,
            self._host + request.path_qs,
            data=await request.read() or None,
            headers=headers,
            skip_auto_headers=["Content-Type"],
        )
        async with answer:
            kept = {name: value for name, value in answer.headers.items() if name not in HOP_HEADERS}
            if "watch" not in request.query or answer.status != 200:
                return web.Response(body=await answer.read(), status=answer.status, headers=kept)
            return await self._stream(request, answer, kept)

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        ending: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._endings.add(ending)
        reading: asyncio.Future[bytes] | None = None
        try:
            while True:
                reading = asyncio.ensure_future(answer.content.readline())
                done, _ = await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
                if ending in done:
                    await response.write(ending.result())
                    break
                if not reading.result():
                    break
                if not self.muted:
                    await response.write(reading.result())
        finally:
            self._endings.discard(ending)
            if reading is not None:
                reading.cancel()
        return response


@asynccontextmanager
async def proxied(configuration: Configuration) -> AsyncIterator[Proxy]:
    """A proxy, and while it stands."""
    async with session(configuration) as upstream:
        proxy = Proxy(configuration, upstream)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address: tuple[Any, ...] = runner.addresses[0]
        proxy.url = f"http://127.0.0.1:{address[1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()
