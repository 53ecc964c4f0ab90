"""Which keys wait for a look: each at most once, none in two workers, some only from a later time on.

The semantics are those of client-go's work queue. Knows nothing of what is done with a key.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from modelwright.engine.backoff import Backoff

K = TypeVar("K", bound=Hashable)
Clock = Callable[[], float]


class QueueClosed(Exception):  # noqa: N818 - the end of the queue is no error
    """The queue takes no more workers: the process is about to end."""


class WorkQueue(Generic[K]):
    """A key that is added while a worker has it comes back when that worker is done."""

    def __init__(
        self,
        clock: Clock = time.monotonic,
        backoff: Backoff | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._jitter = jitter
        self._ready: OrderedDict[K, float] = OrderedDict()  # with the time since when
        self._processing: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._pushed = 0
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """How many keys could be worked on now."""
        self._promote()
        return len(self._ready)

    def now(self) -> float:
        """The queue's own time, that `add_at` speaks of."""
        return self._clock()

    def oldest_age(self) -> float:
        """For how many seconds the key that waits longest could have been worked on; 0 when none waits."""
        self._promote()
        since = min(self._ready.values(), default=None)
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def add(self, key: K) -> None:
        """Asks for a look at once; while a worker has the key, for one after that."""
        if key in self._processing:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = self._clock()
            self._wake.set()

    def add_at(self, key: K, when: float) -> None:
        """Asks for a look at that time. Of several times to come the earliest counts."""
        if when <= self._clock():
            self.add(key)
        elif when < self._due.get(key, float("inf")):
            self._due[key] = when
            self._push(when, key)
            self._wake.set()

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Asks for a look after a failure, later with each failure in a row. Gives the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = max(at_least, self._backoff.delay(failures, self._jitter()))
        self.add_at(key, self._clock() + delay)
        return delay

    def forget(self, key: K) -> None:
        """The key went well: its next failure is the first one again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The key that waits longest. It is this worker's until `done`."""
        while not self._closed:
            self._promote()
            if self._ready:
                key, _ = self._ready.popitem(last=False)
                self._processing.add(key)
                return key
            await self._wait()
        raise QueueClosed

    def done(self, key: K) -> None:
        """The worker is through with the key."""
        self._processing.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Sends the workers home; keys in work are finished by those who have them."""
        self._closed = True
        self._wake.set()

    async def _wait(self) -> None:
        self._wake.clear()
        timeout = max(0.0, self._heap[0][0] - self._clock()) if self._heap else None
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return

    def _push(self, when: float, key: K) -> None:
        self._pushed += 1  # keys need not be comparable
        heapq.heappush(self._heap, (when, self._pushed, key))
        if len(self._heap) > 64 + 2 * len(self._due):  # mostly overtaken entries: start afresh
            self._heap = [(due, n, waiting) for n, (waiting, due) in enumerate(self._due.items())]
            heapq.heapify(self._heap)

    def _promote(self) -> None:
        """Makes ready what has come due. A heap entry that an earlier time has overtaken counts for nothing."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
