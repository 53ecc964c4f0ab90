"""A row of a table of docs/gates.md. Modules that simulate give `rows()` of them; `tables` has the heads."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Chance = np.random.Generator
Cells = list[str]


@dataclass(frozen=True)
class Row:
    """Its first cells, and what computes the others from a source of chance and the number of repeats."""

    table: str
    first: tuple[str, ...]
    simulate: Callable[[Chance, int], Cells]

    @property
    def key(self) -> str:
        """Identifies the row among all."""
        return f"{self.table}: {', '.join(self.first)}"

    def cells(self, repeats: int) -> Cells:
        """Simulates it. The same key gives the same numbers."""
        seed = zlib.crc32(self.key.encode())
        return [*self.first, *self.simulate(np.random.default_rng(seed), repeats)]
