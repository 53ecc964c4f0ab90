"""How long another revision has for an answer if the rule does not say: by how long this one's own answers take."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from modelwright_serving.histogram import Histogram

SHORTEST = 1.0
LONGEST = 60.0
_QUANTILE = 0.99
_TIMES = 4.0
_KEPT_SECONDS = 1.0


class DefaultTime:
    """The 99th percentile of this revision's durations times 4: at least 1 s, as for a quick model, and at most 60 s.

    `durations`: those of its answers so far. It is looked up once a second at most.
    """

    def __init__(self, durations: Callable[[], Histogram], clock: Callable[[], float] = monotonic) -> None:
        self._durations = durations
        self._clock = clock
        self._seconds = SHORTEST
        self._until = 0.0

    def seconds(self) -> float:
        """The time as of less than a second ago, in seconds."""
        now = self._clock()
        if now >= self._until:
            self._until = now + _KEPT_SECONDS
            usual = self._durations().quantile(_QUANTILE) or 0.0
            self._seconds = min(max(SHORTEST, _TIMES * usual), LONGEST)
        return self._seconds
