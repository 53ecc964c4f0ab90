"""The keys that wait to be reconciled: each at most once, never in two workers, some only from a later time on.

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
    """A work queue. A key that is added while a worker has it returns when that worker is done."""

    def __init__(
        self,
        clock: Clock = time.monotonic,
        backoff: Backoff | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._jitter = jitter
        self._ready: OrderedDict[K, float] = OrderedDict()  # since when it waits
        self._processing: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._pushed = 0
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """How many keys are ready."""
        self._promote()
        return len(self._ready)

    def now(self) -> float:
        """The time of the queue's clock, which `add_at` uses."""
        return self._clock()

    def oldest_age(self) -> float:
        """How many seconds the oldest ready key has waited; 0 if none is ready."""
        self._promote()
        since = next(iter(self._ready.values()), None)  # they are in the order in which they came
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def add(self, key: K) -> None:
        """Makes the key ready now; if a worker has it, when that worker is done."""
        if key in self._processing:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = self._clock()
            self._wake.set()

    def add_at(self, key: K, when: float) -> None:
        """Makes the key ready at that time. Of several future times the earliest counts."""
        if when <= self._clock():
            self.add(key)
        elif when < self._due.get(key, float("inf")):
            self._due[key] = when
            self._push(when, key)
            self._wake.set()

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Makes the key ready after a pause that grows with each failure in a row. Returns the pause."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = max(at_least, self._backoff.delay(failures, self._jitter()))
        self.add_at(key, self._clock() + delay)
        return delay

    def forget(self, key: K) -> None:
        """Resets the count of failures of the key."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Returns the oldest ready key. It belongs to this worker until `done`."""
        while not self._closed:
            self._promote()
            if self._ready:
                key, _ = self._ready.popitem(last=False)
                self._processing.add(key)
                return key
            await self._wait()
        raise QueueClosed

    def done(self, key: K) -> None:
        """Ends the work on the key."""
        self._processing.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Stops the workers that wait; keys in work are finished by the workers that have them."""
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
        if len(self._heap) > 64 + 2 * len(self._due):  # most entries are out of date
            self._heap = [(due, n, waiting) for n, (waiting, due) in enumerate(self._due.items())]
            heapq.heapify(self._heap)

    def _promote(self) -> None:
        """Makes due keys ready. A heap entry counts only if its time is still the key's."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
