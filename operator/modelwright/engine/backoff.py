"""How long to wait before trying again. Spreads the tries of many; holds no clock."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """How long to wait after the n-th failure in a row, in seconds."""

    base: float = 0.5
    factor: float = 2.0
    cap: float = 300.0

    def delay(self, failures: int, jitter: float) -> float:
        """The delay after this many failures, between half and the whole of it as `jitter` goes from 0 to 1."""
        # 64 doublings are far beyond any cap; without this bound the power itself overflows.
        whole = min(self.cap, self.base * self.factor ** min(failures, 64))
        return whole * (0.5 + jitter / 2)


class Forever:
    """Delays without end, from the start for each loop: one that gave up would leave a process alive and blind."""

    def __iter__(self) -> Iterator[float]:
        backoff, failures = Backoff(base=0.5, cap=20.0), 0
        while True:
            yield backoff.delay(failures, random.random())  # noqa: S311 - it spreads load, it hides nothing
            failures += 1
