"""Work that is too long for one turn of the event loop: in each turn one step of it is made, of all work together."""

from collections import deque
from collections.abc import Callable


class Steps:
    """Several pieces of work take turns, so that many at once hold up a turn no longer than one."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._works: deque[Callable[[], bool]] = deque()

    def add(self, step: Callable[[], bool]) -> None:
        """Call `step` in later turns until it says that nothing is left to do."""
        self._works.append(step)
        if len(self._works) == 1:
            self._call_soon(self._turn)

    def _turn(self) -> None:
        step = self._works[0]
        try:
            if not step():
                self._works.append(step)
        finally:
            self._works.popleft()
            if self._works:
                self._call_soon(self._turn)
