"""How much time counting may take. Pure: the caller brings the time."""

# Of the time that passes.
SHARE = 0.01
# Seconds of counting that may be saved up while nothing is counted.
_SAVED = 0.02


class Budget:
    """Allows counting as long as it has taken no more than its share of the time. What is counted may then take any
    time: whether a run is left out depends on the runs before it, never on what is in it. Times in seconds."""

    def __init__(self, now: float, share: float = SHARE, saved: float = _SAVED) -> None:
        self._share = share
        self._most = saved
        self._left = saved
        self._since = now

    def allows(self, now: float) -> bool:
        """Whether something may be counted now."""
        self._left = min(self._most, self._left + self._share * (now - self._since))
        self._since = now
        return self._left > 0

    def pause(self) -> float:
        """Seconds from then until something may be counted again; 0 if it may."""
        return max(0.0, -self._left / self._share)

    def spend(self, seconds: float) -> None:
        """Counting has taken so long."""
        self._left -= seconds
