"""Chooses at random which units of rows are held out; a unit is on one side as a whole."""

import numpy as np

from modelwright_training.reading.equal_rows import Ids


def choose(units: Ids, strata: Ids, fraction: float, seed: int) -> Ids:
    """The units to hold out, so that about `fraction` of the rows is held out of each stratum.

    units: the number of each row's unit, 0 to n - 1. strata: the number of each row's stratum; a unit belongs to that
    of its first row. Each stratum keeps a unit to learn from; at least one unit is held out where there are two."""
    sizes = np.bincount(units)
    first = np.empty(len(sizes), dtype=np.int64)
    first[units[::-1]] = np.arange(len(units))[::-1]
    stratum = strata[first]
    order = np.random.default_rng(seed).permutation(len(sizes))
    by_stratum = order[np.argsort(stratum[order], kind="stable")]
    parts = np.split(by_stratum, np.cumsum(np.bincount(stratum))[:-1])
    rows = np.array([sizes[part].sum() for part in parts])
    most = np.array([sizes[part].sum() - sizes[part].min(initial=len(units)) for part in parts])
    quotas = _quotas(rows, np.maximum(most, 0), round(len(units) * fraction))
    chosen = [_fill(part, sizes, int(quota)) for part, quota in zip(parts, quotas, strict=True)]
    held = np.concatenate(chosen)
    return held if len(held) or len(order) < 2 else order[[np.argmin(sizes[order])]]


def _quotas(rows: Ids, most: Ids, total: int) -> Ids:
    """Divide `total` rows among strata in proportion to their rows, by largest remainder, with a bound for each."""
    exact = total * rows / rows.sum()
    quotas: Ids = np.minimum(np.floor(exact).astype(np.int64), most)
    left = total - int(quotas.sum())
    for place in np.argsort(quotas - exact, kind="stable"):
        if left and quotas[place] < most[place]:
            quotas[place] += 1
            left -= 1
    return quotas


def _fill(order: Ids, sizes: Ids, quota: int) -> Ids:
    """The units in their order that fit into a quota of rows, and one more if that comes closer to it."""
    chosen = np.zeros(len(order), dtype=bool)
    left = quota
    fitting = np.flatnonzero(sizes[order] <= left)
    while left and len(fitting):
        ends = np.cumsum(sizes[order[fitting]])
        count = int(np.searchsorted(ends, left, side="right"))
        chosen[fitting[:count]] = True
        left -= int(ends[count - 1])
        fitting = fitting[count:]
        fitting = fitting[sizes[order[fitting]] <= left]
    rest = np.flatnonzero(~chosen)
    if left and len(rest) > 1:
        smallest = rest[np.argmin(sizes[order[rest]])]
        chosen[smallest] = sizes[order[smallest]] < 2 * left
    return order[chosen]
