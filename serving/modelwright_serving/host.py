"""All connections of one listening port: their number, their shared bounds, their clock and their end.

Knows no protocol: what is said on a connection is left to `http` and `rpc`.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from modelwright_serving.limits import Limits
from modelwright_serving.memory import Account, Memory
from modelwright_serving.tracing import FailureLog

_SWEEP_SECONDS = 0.5


class Hosted(Protocol):
    """A connection, as its host sees it."""

    def expire(self, now: float) -> None:
        """End what takes longer than its limit."""
        ...

    def close_if_idle(self, since: float) -> None:
        """Close in an orderly way if it carries nothing and has carried nothing since then."""
        ...

    def abort(self) -> None: ...


class Host:
    """Makes connections for a server, and lets go of them."""

    def __init__(
        self,
        make: Callable[["Host"], asyncio.Protocol],
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        memory: Memory | None = None,
        protocol: str = "http",
    ) -> None:
        self._make = make
        self.limits = limits
        self.draining = False
        self.memory = Memory(limits.memory) if memory is None else memory
        self.now = loop.time
        self.call_soon = loop.call_soon
        self.last_connected = float("-inf")
        self.failures = FailureLog(protocol)
        self._loop = loop
        self._connections: set[Hosted] = set()
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def connect(self) -> asyncio.Protocol:
        return self._make(self)

    def __len__(self) -> int:
        return len(self._connections)

    def account(self, transport: asyncio.BaseTransport) -> Account:
        """The account of a new connection's peer address; to be left when the connection is lost."""
        peer = transport.get_extra_info("peername")
        return self.memory.join(peer[0] if peer else "")

    def admit(self, connection: Hosted) -> bool:
        """Whether there is room for one more; without room it only gets to hear that."""
        self._connections.add(connection)
        self.last_connected = self.now()
        if len(self._connections) > 2 * self.limits.connections:
            connection.abort()
        return len(self._connections) <= self.limits.connections

    def forget(self, connection: Hosted) -> None:
        self._connections.discard(connection)

    def close_quiet(self, seconds: float) -> None:
        """Close the connections that have carried nothing for so long."""
        since = self.now() - seconds
        for connection in list(self._connections):
            connection.close_if_idle(since)

    def stop(self) -> None:
        """Drop whatever is left."""
        self._sweeper.cancel()
        for connection in list(self._connections):
            connection.abort()

    def _sweep(self) -> None:
        now = self.now()
        for connection in list(self._connections):
            connection.expire(now)
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
