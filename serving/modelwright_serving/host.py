"""All connections of one listening port: their number, their shared bounds, their clock and their end.

Knows no protocol: what is sent on a connection is left to `http` and `rpc`.
"""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from modelwright_serving.limits import Limits
from modelwright_serving.memory import Account, Memory
from modelwright_serving.steps import Steps
from modelwright_serving.tracing import FailureLog

_SWEEP_SECONDS = 0.5
# Connections that are looked at to find one that may be closed: a caller must not make each new one costly.
_LOOKED_AT = 32


class Hosted(Protocol):
    """A connection, as its host sees it."""

    def expire(self, now: float) -> None:
        """End what takes longer than its limit."""
        ...

    @property
    def waiting_since(self) -> float | None:
        """Since when the server has waited for the caller; None while the caller waits for the server."""
        ...

    def evict(self) -> None:
        """Close at once, to make room for another connection."""
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
        self.steps = Steps(loop.call_soon)
        self.last_connected = float("-inf")
        self.failures = FailureLog(protocol)
        self._loop = loop
        self._connections: set[Hosted] = set()
        self._admitted = 0
        self._peers: dict[str, dict[Hosted, None]] = {}  # those admitted, by address, in the order they came
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def connect(self) -> asyncio.Protocol:
        return self._make(self)

    def __len__(self) -> int:
        return len(self._connections)

    def account(self, transport: asyncio.BaseTransport) -> Account:
        """The account of a new connection's peer address, until `forget`."""
        peer = transport.get_extra_info("peername")
        return self.memory.join(peer[0] if peer else "")

    def admit(self, connection: Hosted, account: Account) -> bool:
        """Whether a new connection is served; otherwise it is to be refused and closed.

        When all are taken, it takes the place of the one that has waited longest for its caller, among those of the
        address that has the most. An address that has the most itself only replaces connections out of use.
        """
        self._connections.add(connection)
        self.last_connected = self.now()
        if self._admitted >= self.limits.connections and not self._make_room(account.address):
            if len(self._connections) - self._admitted > self.limits.refused_connections:
                connection.abort()
            return False
        self._peers.setdefault(account.address, {})[connection] = None
        self._admitted += 1
        return True

    def _make_room(self, address: str) -> bool:
        crowd = max(self._peers.values(), key=len)
        others = len(crowd) > len(self._peers.get(address, ())) + 1
        latest = self.now() if others else self.now() - self.limits.reuse_seconds
        waiting = ((since, one) for one in crowd if (since := one.waiting_since) is not None)
        since, oldest = min(islice(waiting, _LOOKED_AT), key=lambda found: found[0], default=(None, None))
        if oldest is None or since is None or since > latest:
            return False
        self._dismiss(oldest, next(name for name, peers in self._peers.items() if peers is crowd))
        oldest.evict()
        return True

    def forget(self, connection: Hosted, account: Account) -> None:
        """A connection is lost."""
        self._connections.discard(connection)
        self._dismiss(connection, account.address)
        account.leave()

    def _dismiss(self, connection: Hosted, address: str) -> None:
        peers = self._peers.get(address, {})
        if connection in peers:
            del peers[connection]
            self._admitted -= 1
            if not peers:
                del self._peers[address]

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
