"""What the connections of one peer address share: the budget of frames that bring no work, and the turns of reading."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from modelwright_serving.host import Host
from modelwright_serving.http2.budget import FrameBudget

CallSoon = Callable[[Callable[[], None]], object]


class ReadingTurns:
    """Bounds the time that one address takes in a turn of the event loop; connections that have more to read queue."""

    __slots__ = ("_call_soon", "_counted", "_seconds", "_share", "_waiting")

    def __init__(self, share: float, call_soon: CallSoon) -> None:
        self._share = share
        self._call_soon = call_soon
        self._seconds = 0.0  # taken in this turn
        self._counted = False
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def free(self) -> bool:
        """Whether a connection may read at once."""
        return not self._waiting and self._seconds < self._share

    def took(self, seconds: float) -> None:
        """A connection has read for so long."""
        self._seconds += seconds
        if not self._counted and self._seconds > self._share / 4:
            self._count()

    def wait(self, read: Callable[[], None]) -> None:
        """Have `read` called in a later turn, after those who wait already."""
        self._waiting.append(read)
        if not self._counted:
            self._count()

    def _count(self) -> None:
        self._counted = True
        self._call_soon(self._next)

    def _next(self) -> None:
        """Another turn of the event loop has begun."""
        self._counted = False
        self._seconds = 0.0
        while self._waiting and self._seconds < self._share:
            self._waiting.popleft()()
        if self._waiting and not self._counted:
            self._count()


class Peer(NamedTuple):
    """One address."""

    budget: FrameBudget
    turns: ReadingTurns


class Peers:
    """All addresses, kept beyond their connections until their budgets are full again."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._crowded = 0

    def __len__(self) -> int:
        return len(self._peers)

    def of(self, address: str, host: Host) -> Peer:
        """What a connection from this address shares with the others."""
        found = self._peers.get(address)
        if found is None:
            if len(self._peers) >= self._crowded:
                self._forget(host)
            turns = ReadingTurns(host.limits.reading_seconds, host.call_soon)
            found = self._peers[address] = Peer(FrameBudget(host.limits, host.now()), turns)
        return found

    def _forget(self, host: Host) -> None:
        now = host.now()
        self._peers = {name: peer for name, peer in self._peers.items() if not peer.budget.is_full(now)}
        self._crowded = 2 * len(self._peers) + host.limits.connections
