"""How much may be asked of a connection that brings no work with it: the bound on every kind of flood."""

_FULL = 2_000.0
_PER_SECOND = 200.0
_PER_ANSWER = 4.0


class Budget:
    """Refilled by time and by answered requests; spent on frames that cost work and carry none."""

    __slots__ = ("_left", "_since")

    def __init__(self, now: float) -> None:
        self._left = _FULL
        self._since = now

    def answered(self) -> None:
        """A request has been worth its trouble."""
        if self._left < _FULL:
            self._left += _PER_ANSWER

    def spend(self, now: float, price: float = 1.0) -> bool:
        """Whether the peer may go on."""
        self._left = min(_FULL, self._left + (now - self._since) * _PER_SECOND) - price
        self._since = now
        return self._left > 0.0
