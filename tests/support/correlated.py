"""A made-up table of numbers, two of which go together, to learn from and to send; each way it can change is a word."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

COLUMNS = ("first", "second", "third", "fourth", "fifth", "sixth")
CORRELATION = 0.8

Rows = npt.NDArray[np.float64]


def rows(count: int, seed: int, *, moved: float = 0.0, flipped: bool = False) -> Rows:
    """Standard normal numbers, of shape (count, 6). `first` and `second` have a correlation of 0.8.

    `moved` is added to `third`; with `flipped` the correlation is -0.8, and no column alone shows it.
    """
    chance = np.random.default_rng(seed)
    made = chance.standard_normal((count, len(COLUMNS)))
    sign = -1.0 if flipped else 1.0
    made[:, 1] = sign * CORRELATION * made[:, 0] + np.sqrt(1 - CORRELATION**2) * made[:, 1]
    made[:, 2] += moved
    return made.round(3)


def truth(given: Rows, seed: int) -> list[str]:
    """Whether each row is a `yes`: mostly if `first` and `third` are large."""
    noise = np.random.default_rng(seed).standard_normal(len(given))
    return ["yes" if each > 0 else "no" for each in given[:, 0] + given[:, 2] + 0.7 * noise]


def table(count: int = 2000, seed: int = 1) -> str:
    """Rows and their truth as CSV."""
    given = rows(count, seed)
    lines = (
        ",".join(map(str, [*row, label]))
        for row, label in zip(given.tolist(), truth(given, seed), strict=True)
    )
    return "\n".join((",".join((*COLUMNS, "label")), *lines)) + "\n"


def drawing(seed: int, *, moved: float = 0.0, flipped: bool = False) -> Callable[[int], Rows]:
    """Draws other rows each time it is called."""
    seeds = iter(range(seed, seed + 1_000_000))
    return lambda count: rows(count, next(seeds), moved=moved, flipped=flipped)
