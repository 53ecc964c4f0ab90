"""An event loop without sockets or a clock: work is done in turns when told to, and time passes when told to."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from fuzz.engine import Hang

MOST_TURNS = 100_000


class Timer:
    """Something that is due at a time, unless it is cancelled before."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work: Callable[[], object] | None = work

    def cancel(self) -> None:
        self.work = None


class Turns:
    """The part of asyncio's loop that the server uses beside sockets."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._soon: deque[Callable[[], object]] = deque()
        self._later: list[tuple[float, int, Timer]] = []
        self._order = count()

    def time(self) -> float:
        return self._now

    def is_closed(self) -> bool:
        return False

    def call_soon(self, work: Callable[..., object], *arguments: Any) -> Timer:
        timer = Timer(lambda: work(*arguments))
        self._soon.append(lambda: timer.work() if timer.work else None)
        return timer

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, work: Callable[..., object], *arguments: Any) -> Timer:
        return self.call_at(self._now + delay, work, *arguments)

    def call_at(self, due: float, work: Callable[..., object], *arguments: Any) -> Timer:
        timer = Timer(lambda: work(*arguments))
        while self._later and self._later[0][2].work is None:
            heapq.heappop(self._later)
        heapq.heappush(self._later, (due, next(self._order), timer))
        return timer

    def settle(self) -> None:
        """Turns until there is nothing to do now."""
        for _ in range(MOST_TURNS):
            if not self._soon:
                return
            self._soon.popleft()()
        raise Hang("the work never ends")

    def passes(self, seconds: float) -> None:
        """Time passes, and what is due is done."""
        end = self._now + seconds
        while self._later and self._later[0][0] <= end:
            self._now, _, timer = heapq.heappop(self._later)
            if timer.work is not None:
                timer.work()
            self.settle()
        self._now = end
