"""When a rollout is looked at, and how many samples there are by then."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Chance = np.random.Generator

# As the operator's loop does.
LOOK_SECONDS = 2.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
# From one simulated look to the next the samples grow by this factor at least. One table compares it with every look.
GROWTH = 1.01
# The same for durations, whose looks take longer to simulate.
GROWTH_OF_DURATIONS = 1.08


def samples_at(rate: float, hold: float, growth: float = GROWTH) -> Counts:
    """The number of samples at each look of a step, at `rate` samples a second. Looks with nothing new are left out."""
    looks = np.arange(1, int(hold / LOOK_SECONDS) + 1)
    return thinned(np.unique(np.floor(rate * LOOK_SECONDS * looks + 1e-9).astype(np.int64)), growth)


def thinned(samples: Counts, growth: float) -> Counts:
    """The looks without those that have hardly more samples than the one before. The last one stays."""
    kept: list[int] = []
    for number in samples.tolist():
        if number > 0 and (not kept or number >= kept[-1] * growth):
            kept.append(number)
    if kept and kept[-1] != samples[-1]:
        kept.append(int(samples[-1]))
    return np.array(kept, dtype=np.int64)


def increments(samples: Counts) -> list[int]:
    """How many samples each look has more than the one before."""
    return [int(more) for more in np.diff(samples, prepend=0)]


def share(found: NDArray[Any]) -> float:
    """The share of rollouts for which this is true."""
    return float(np.mean(found))
