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
_PROOFS = 16
_MOST_PROOFS = 1024


class Pace:
    """Seconds for a run as a straight line over its rows, distrusted while it proves wrong.

    `steady` is False for a model whose runs take longer for some values than for others: a timed run does not predict
    the next one.
    """

    def __init__(self, base: float = 0.0, per_row: float = 0.0, *, steady: bool = True) -> None:
        self.base = base
        self.per_row = per_row
        self.steady = steady
        self._trusted = True
        self._surprises = 0
        self._proofs = 0
        self._proofs_asked = _PROOFS

    def is_quick(self, rows: int) -> bool:
        """Whether a run of so many rows may happen on the event loop."""
        return self._trusted and self.steady and self.base + self.per_row * rows <= QUICK_SECONDS

    def rows_within(self, seconds: float) -> int:
        """How many rows a run of so many seconds has; at least 1."""
        return max(1, int(min((seconds - self.base) / max(self.per_row, 1e-12), 2**31)))

    def took(self, rows: int, seconds: float) -> None:
        """Learn from a run, wherever it happened: one slow run is the machine's fault, several are the model's.

        Trust comes back after many quick runs on the worker; the next time that takes twice as many.
        """
        if self.base + self.per_row * rows > QUICK_SECONDS:
            return
        if seconds >= 4 * QUICK_SECONDS:
            self._proofs = 0
            self._surprises += 1
            if self._trusted and self._surprises >= _HICCUPS:
                self._trusted = False
        else:
            self._surprises = 0
            if not self._trusted:
                self._prove()

    def _prove(self) -> None:
        self._proofs += 1
        if self._proofs >= self._proofs_asked:
            self._trusted = True
            self._proofs = 0
            self._proofs_asked = min(2 * self._proofs_asked, _MOST_PROOFS)


def measure(run: Callable[[list[Tensor]], object], sample: list[Tensor], *, most_rows: int) -> Pace:
    """Time runs of `sample`, inputs that the model is known to take, and of many such rows if rows can be joined.

    `most_rows` is how many may be; 1 if none can.
    """
    joins_rows = most_rows > 1
    one = [tensor[:1] for tensor in sample] if joins_rows else sample
    base = shortest(run, one)
    if not joins_rows:
        rows = max(1, *(len(tensor) if tensor.ndim else 1 for tensor in sample))
        return Pace(0.0, base / rows)
    if base > _LONG_SECONDS:
        return Pace(base, 0.0)
    rows = min(_MANY_ROWS, most_rows)
    many = shortest(run, [np.concatenate([tensor] * rows) for tensor in one])
    return Pace(base, max(0.0, many - base) / (rows - 1))


def shortest(run: Callable[[list[Tensor]], object], inputs: list[Tensor]) -> float:
    """The shortest of a few runs: whatever else happened on the machine only made the others longer."""
    best = float("inf")
    for _ in range(_REPEATS):
        started = perf_counter()
        run(inputs)
        best = min(best, perf_counter() - started)
        if best > _LONG_SECONDS:
            break
    return best
