"""Repeats requests at the other revision after their callers were answered, and compares what it says.

Never in a caller's way: few requests at a time, and what would be too many or too large is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable

from modelwright_serving.oip.errors import OipError
from modelwright_serving.traffic.client import Answer, Client, Failure
from modelwright_serving.traffic.compare import Outputs, compare
from modelwright_serving.traffic.counts import RevisionCounts, Shadowed

MAX_CALLS = 32
MAX_REQUEST = 1024**2


class Shadow:
    """The repeated requests of one rule."""

    def __init__(self, client: Client, seconds: float, counts: RevisionCounts) -> None:
        self._client = client
        self._seconds = seconds
        self._counts = counts
        self._calls = 0

    def repeat(self, request: bytes, ours: Outputs, read: Callable[[Answer], Outputs]) -> None:
        """Ask, and compare with `ours`; `read` finds the outputs in an answer, or raises OipError."""
        if self._calls >= MAX_CALLS or len(request) > MAX_REQUEST:
            self._counts.shadowed[Shadowed.DROPPED] += 1
            return
        self._calls += 1

        def told(outcome: Answer | Failure) -> None:
            self._calls -= 1
            self._counts.shadowed[self._compared(outcome, ours, read)] += 1

        self._client.send(request, self._seconds, told)

    def _compared(
        self, outcome: Answer | Failure, ours: Outputs, read: Callable[[Answer], Outputs]
    ) -> Shadowed:
        if isinstance(outcome, Failure):
            return Shadowed.DROPPED if outcome is Failure.OVERLOADED else Shadowed.FAILED
        if not 200 <= outcome.status < 300:
            return Shadowed.FAILED
        try:
            found = compare(ours, read(outcome))
        except OipError:
            return Shadowed.FAILED
        if found is None:
            return Shadowed.INCOMPARABLE
        self._counts.add(found)
        return Shadowed.COMPARED
