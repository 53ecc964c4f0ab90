"""A uniform random sample of rows that arrive in batches, in one pass and bounded memory; keeps their order."""

import numpy as np
import numpy.typing as npt

from modelwright_training.documents import Sample
from modelwright_training.untyped import ArrowBatch

Keys = npt.NDArray[np.float64]


class Sampler:
    """Keeps the `rows` rows with the smallest random keys of all that it is given.

    Every row gets an independent uniform key, so each set of `rows` rows is equally likely. The keys depend on the
    seed and the number of the row alone, not on the batches. At most twice the rows asked for are held, and a batch.
    """

    def __init__(self, sample: Sample) -> None:
        self.rows = sample.rows
        self.seen = 0
        self.size = 0  # bytes in memory
        self.batches: list[ArrowBatch] = []
        self._keys: list[Keys] = []
        self._random = np.random.default_rng(sample.seed)
        self._highest = np.inf

    def add(self, batch: ArrowBatch) -> None:
        """Look at the next rows."""
        self.seen += batch.num_rows
        keys = self._random.random(batch.num_rows)
        self._hold(batch, keys, keys <= self._highest)
        if sum(map(len, self._keys)) > 2 * self.rows:
            self.prune()

    def prune(self) -> None:
        """Let go of all rows but the chosen ones."""
        held = sum(map(len, self._keys))
        if held <= self.rows:
            return
        self._highest = float(np.partition(np.concatenate(self._keys), self.rows - 1)[self.rows - 1])
        pairs = list(zip(self.batches, self._keys, strict=True))
        self.batches, self._keys, self.size = [], [], 0
        for batch, keys in pairs:
            self._hold(batch, keys, keys <= self._highest)

    def _hold(self, batch: ArrowBatch, keys: Keys, chosen: npt.NDArray[np.bool_]) -> None:
        if chosen.any():
            held = batch if chosen.all() else batch.filter(chosen)
            self.size += held.nbytes
            self.batches.append(held)
            self._keys.append(keys[chosen])
