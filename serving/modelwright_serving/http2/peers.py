"""What the connections of one peer address share: the budget of frames that bring no work, and the turns of reading."""

from collections import deque
from collections.abc import Callable
from time import perf_counter

from modelwright_serving.host import Host
from modelwright_serving.http2.budget import FrameBudget


class ReadingTurns:
    """Bounds the time that queued reading takes in a turn of the event loop; addresses take turns."""

    __slots__ = ("_busy", "_call_soon", "_queue", "_scheduled", "share")

    def __init__(self, share: float, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self.share = share
        self._call_soon = call_soon
        self._scheduled = False
        self._queue: deque[Peer] = deque()
        self._busy: list[Peer] = []  # have read much in this turn

    def queue(self, peer: "Peer") -> None:
        """Let one connection of this address read in a later turn."""
        self._queue.append(peer)
        self._schedule()

    def note(self, peer: "Peer") -> None:
        """This address has read much in this turn."""
        self._busy.append(peer)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._next)

    def _next(self) -> None:
        """Another turn of the event loop has begun."""
        self._scheduled = False
        for peer in self._busy:
            peer.begin_turn()
        self._busy.clear()
        end = perf_counter() + self.share
        while self._queue:
            self._queue.popleft().read_one()
            if perf_counter() > end:
                break
        if self._queue:
            self._schedule()


class Peer:
    """One address."""

    __slots__ = ("_seconds", "_turns", "_waiting", "budget", "busy")

    def __init__(self, budget: FrameBudget, turns: ReadingTurns) -> None:
        self.budget = budget
        self.busy = False  # whether its connections have to wait for a turn
        self._seconds = 0.0  # of reading in this turn of the event loop
        self._turns = turns
        self._waiting: deque[Callable[[], None]] = deque()

    def has_read(self, seconds: float) -> None:
        """A connection has read for so long."""
        much = self._turns.share / 4
        if self._seconds <= much < self._seconds + seconds:
            self._turns.note(self)
        self._seconds += seconds
        self.busy = self.busy or self._seconds > self._turns.share

    def begin_turn(self) -> None:
        """Another turn of the event loop has begun."""
        self._seconds = 0.0
        self.busy = bool(self._waiting)

    def wait(self, read: Callable[[], None]) -> None:
        """Have `read` called in a later turn, after the connections that wait already."""
        self.busy = True
        self._waiting.append(read)
        if len(self._waiting) == 1:
            self._turns.queue(self)

    def read_one(self) -> None:
        """Let the connection read that has waited longest."""
        read = self._waiting.popleft()
        if self._waiting:
            self._turns.queue(self)
        else:
            self.busy = False
        read()


class Peers:
    """All addresses, kept beyond their connections until their budgets are full again."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._crowded = 0
        self._turns: ReadingTurns | None = None

    def __len__(self) -> int:
        return len(self._peers)

    def of(self, address: str, host: Host) -> Peer:
        """What a connection from this address shares with the others."""
        found = self._peers.get(address)
        if found is None:
            if len(self._peers) >= self._crowded:
                self._forget(host)
            if self._turns is None:
                self._turns = ReadingTurns(host.limits.reading_seconds, host.call_soon)
            found = self._peers[address] = Peer(FrameBudget(host.limits, host.now()), self._turns)
        return found

    def _forget(self, host: Host) -> None:
        now = host.now()
        self._peers = {name: peer for name, peer in self._peers.items() if not peer.budget.is_full(now)}
        self._crowded = 2 * len(self._peers) + host.limits.connections
