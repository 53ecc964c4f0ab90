"""Connections that end with the session that they belong to."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

# For connections that were told to end at once to do so.
LAST_SECONDS = 1.0


class Connector(aiohttp.TCPConnector):
    """aiohttp's own lets go of a connection whose request was broken off, as by a cancellation, and TLS then waits
    for the peer's farewell: for longer than the event loop may live. A loop that is closed meanwhile complains, and
    uvloop's raises, so that the process ends with an error. Here what is left ends when the connector does.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._open: dict[ResponseHandler, asyncio.Transport] = {}

    async def connect(self, *request: Any, **options: Any) -> Connection:
        """A connection for a request, as aiohttp's connector gives it."""
        connection = await super().connect(*request, **options)
        protocol, transport = connection.protocol, connection.transport
        if protocol is not None and transport is not None and protocol not in self._open:
            self._watch(protocol, transport)
        return connection

    def _watch(self, protocol: ResponseHandler, transport: asyncio.Transport) -> None:
        closed = protocol.closed
        if closed is not None:
            self._open[protocol] = transport
            closed.add_done_callback(partial(self._forget, protocol))

    def _forget(self, protocol: ResponseHandler, closed: asyncio.Future[None]) -> None:
        self._open.pop(protocol, None)
        if not closed.cancelled():
            closed.exception()  # whoever sent a request has heard of it

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Ends all connections, and waits until they have ended."""
        await super().close(abort_ssl=abort_ssl)
        left = dict(self._open)
        for transport in left.values():
            transport.abort()
        ends = [closed for protocol in left if (closed := protocol.closed) is not None]
        if ends:
            await asyncio.wait(ends, timeout=LAST_SECONDS)
