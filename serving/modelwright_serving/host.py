"""All connections of one listening port: their number, their shared bounds, their clock and their end.

Knows no protocol: what is sent on a connection is left to `http` and `rpc`.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol

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

    @property
    def has_served(self) -> bool:
        """Whether it has carried a request."""
        ...

    def evict(self) -> None:
        """Close at once, to make room for another connection."""
        ...

    def close_if_idle(self, since: float) -> None:
        """Close in an orderly way if it carries nothing and has carried nothing since then."""
        ...

    def abort(self) -> None: ...


class _Waiting(NamedTuple):
    """A connection that has waited for its caller since then."""

    connection: Hosted
    since: float


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
        self._connections: dict[Hosted, str | None] = {}  # and their addresses, None for those refused
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

        When all places are taken, it gets that of one which waits for its caller: of the address with the most, if
        that is a crowd, else of any; first of those that never sent a request, then of the one that waits longest.
        Unless another address is a crowd, it only replaces those out of use.
        """
        self.last_connected = self.now()
        if self._admitted >= self.limits.connections and not self._make_room(account.address):
            self._connections[connection] = None
            if len(self._connections) - self._admitted > self.limits.refused_connections:
                connection.abort()
            return False
        self._connections[connection] = account.address
        self._peers.setdefault(account.address, {})[connection] = None
        self._admitted += 1
        return True

    def _make_room(self, address: str) -> bool:
        most = max(map(len, self._peers.values()))
        crowded = most * self.limits.crowd > self.limits.connections
        is_small = crowded and len(self._peers.get(address, ())) + 1 < most
        waiting = self._waiting(most if crowded else 1)
        found = min(
            islice((each for each in waiting if is_small or self._is_out_of_use(each)), _LOOKED_AT),
            key=lambda each: (each.connection.has_served, each.since),
            default=None,
        )
        if found is None:
            return False
        self._dismiss(found.connection)
        found.connection.evict()
        return True

    def _is_out_of_use(self, waiting: _Waiting) -> bool:
        limits = self.limits
        seconds = limits.reuse_seconds if waiting.connection.has_served else limits.unused_seconds
        return self.now() - waiting.since >= seconds

    def _waiting(self, least: int) -> Iterator[_Waiting]:
        """The connections that wait for their callers, of the addresses that have at least so many."""
        for peers in self._peers.values():
            if len(peers) >= least:
                for connection in peers:
                    since = connection.waiting_since
                    if since is not None:
                        yield _Waiting(connection, since)

    def forget(self, connection: Hosted, account: Account) -> None:
        """A connection is lost."""
        self._dismiss(connection)
        del self._connections[connection]
        account.leave()

    def _dismiss(self, connection: Hosted) -> None:
        """A connection's place is free."""
        address = self._connections[connection]
        if address is None:
            return
        self._connections[connection] = None
        self._admitted -= 1
        del self._peers[address][connection]
        if not self._peers[address]:
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
