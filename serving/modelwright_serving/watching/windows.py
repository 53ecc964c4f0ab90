"""The last windows of time, and what was counted in each. They are aligned to the clock: all pods have the same."""

from __future__ import annotations

from typing import Any

from modelwright_serving.watching.cells import Cells

KEPT = 3


class Window:
    """`requests` and `rows` were answered; `counted` rows are in the cells. `squares`: the sum over requests of the
    square of their counted rows, as rows of one request are alike."""

    __slots__ = ("cells", "counted", "id", "requests", "rows", "shown", "squares")

    def __init__(self, identity: int) -> None:
        self.id = identity
        self.requests = 0
        self.rows = 0
        self.counted = 0
        self.squares = 0
        self.cells: Cells | None = None
        self.shown: tuple[int, dict[str, Any]] | None = None  # in the report, when so many rows were counted

    def add(self, cells: Cells) -> None:
        """Add what was counted in this window."""
        if self.cells is None:
            self.cells = cells
        else:
            self.cells.add(cells)


class Windows:
    """Those of one length in seconds."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._kept: dict[int, Window] = {}

    def identity(self, now: float) -> int:
        """That of the window at a unix time."""
        return int(now // self.seconds)

    def at(self, now: float) -> Window:
        """The window at a unix time, which is made if it is not there."""
        identity = self.identity(now)
        window = self._kept.get(identity)
        if window is None:
            window = self._kept[identity] = Window(identity)
            while len(self._kept) > KEPT:  # also when the clock was set back
                del self._kept[next(iter(self._kept))]
        return window

    def kept(self) -> list[Window]:
        """Those with requests, in the order of time."""
        return [window for _, window in sorted(self._kept.items()) if window.requests]
