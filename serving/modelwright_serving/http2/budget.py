"""What frames that bring no work cost a peer address: the bound on every kind of flood.

Time refills the budget, and so does an answer with a result that has left in full. A refusal does not: otherwise a peer
could pay for its next flood with requests that are all refused. Nor does a new connection.
"""

from modelwright_serving.limits import Limits

# Prices, in frames.
FRAME = 1.0  # PING, PRIORITY, RST_STREAM, whatever makes us reset a stream, unknown frames
SETTINGS = 10.0  # every open stream is looked at
SMALL_DATA = 0.25  # a few bytes of a body in a frame of their own
FIELD = 1 / 24  # each field beyond the usual number: the largest number allowed costs what a result earns


class FrameBudget:
    """The budget of one address; times in seconds of the host's clock."""

    __slots__ = ("_left", "_limits", "_since")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._left = limits.idle_frames
        self._since = now

    def earn(self) -> None:
        """A request was worth its cost: its result has been sent."""
        if self._left < self._limits.idle_frames:
            self._left += self._limits.idle_frames_per_result

    def spend(self, now: float, price: float) -> bool:
        """Pay for a frame; False if the budget is used up."""
        limits = self._limits
        earned = (now - self._since) * limits.idle_frames_per_second
        # Never far below nothing, so that the address can come back soon.
        self._left = max(-1.0, min(limits.idle_frames, self._left + earned) - price)
        self._since = now
        return self._left > 0.0

    def is_full(self, now: float) -> bool:
        """Whether the budget is as a new one would be."""
        earned = (now - self._since) * self._limits.idle_frames_per_second
        return self._left + earned >= self._limits.idle_frames
