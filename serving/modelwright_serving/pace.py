"""Says how long a run of the model will take, from runs timed at load. Where it then happens is left to `batch`."""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from modelwright_serving.oip.tensors import Tensor

# A run on the event loop keeps everybody waiting, health checks too; handing it to a thread and back costs about
# a tenth of this.
QUICK_SECONDS = 0.001
_MANY_ROWS = 128
_REPEATS = 5
_LONG_SECONDS = 0.02
_HICCUPS = 3


class Pace:
    """Seconds for a run as a straight line over its rows, distrusted when it proves wrong."""

    def __init__(self, base: float = 0.0, per_row: float = 0.0) -> None:
        self.base = base
        self.per_row = per_row
        self._surprises = 0

    def is_quick(self, rows: int) -> bool:
        """Whether a run of so many rows may happen on the event loop."""
        return self._surprises < _HICCUPS and self.base + self.per_row * rows <= QUICK_SECONDS

    def took(self, seconds: float) -> None:
        """Learn from a run that was taken for quick; one slow run is the machine's, several are the model's."""
        if seconds < 4 * QUICK_SECONDS:
            self._surprises = 0
        elif self._surprises < _HICCUPS:
            self._surprises += 1


def measure(run: Callable[[list[Tensor]], object], sample: list[Tensor], *, joins_rows: bool) -> Pace:
    """Time runs of `sample`, inputs that the model is known to take, and of many such rows if rows can be joined."""
    one = [tensor[:1] for tensor in sample] if joins_rows else sample
    base = _shortest(run, one)
    if not joins_rows:
        rows = max(1, *(len(tensor) if tensor.ndim else 1 for tensor in sample))
        return Pace(0.0, base / rows)
    if base > _LONG_SECONDS:
        return Pace(base, 0.0)
    many = _shortest(run, [np.concatenate([tensor] * _MANY_ROWS) for tensor in one])
    return Pace(base, max(0.0, many - base) / (_MANY_ROWS - 1))


def _shortest(run: Callable[[list[Tensor]], object], inputs: list[Tensor]) -> float:
    """The shortest of a few runs: whatever else happened on the machine only made the others longer."""
    shortest = float("inf")
    for _ in range(_REPEATS):
        started = perf_counter()
        run(inputs)
        shortest = min(shortest, perf_counter() - started)
        if shortest > _LONG_SECONDS:
            break
    return shortest
