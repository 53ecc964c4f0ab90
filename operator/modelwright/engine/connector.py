"""Connections that end with the session that they belong to."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp.connector import Connection

# How long an aborted connection may take to end.
LAST_SECONDS = 1.0


class Connector(aiohttp.TCPConnector):
    """aiohttp's own lets go of a connection whose request was broken off, as by a cancellation, and TLS then waits
    for the peer's farewell: for longer than the event loop may live. A loop that is closed meanwhile complains, and
    uvloop's raises, so that the process ends with an error. Here what is left ends when the connector does.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # By what is done when the connection has ended; aiohttp forgets the transport before that.
        self._open: dict[asyncio.Future[None], asyncio.Transport] = {}

    async def connect(self, *request: Any, **options: Any) -> Connection:
        """A connection for a request, as aiohttp's connector gives it."""
        connection = await super().connect(*request, **options)
        closed = None if connection.protocol is None else connection.protocol.closed
        if closed is not None and connection.transport is not None and closed not in self._open:
            self._open[closed] = connection.transport
            closed.add_done_callback(self._forget)
        return connection

    def _forget(self, closed: asyncio.Future[None]) -> None:
        self._open.pop(closed, None)
        if not closed.cancelled():
            closed.exception()  # the request has raised it already

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Ends all connections, and waits until they have ended."""
        await super().close(abort_ssl=abort_ssl)
        left = dict(self._open)
        for transport in left.values():
            transport.abort()
        if left:
            await asyncio.wait(left, timeout=LAST_SECONDS)
