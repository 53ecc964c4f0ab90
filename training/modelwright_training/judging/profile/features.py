"""Counts the values of each feature as they arrive at the model: in cells, by value, or by the length of a text."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from modelwright_training.judging.profile import cells
from modelwright_training.judging.profile.cells import FEWEST, Floats
from modelwright_training.message import Json
from modelwright_training.onnxfile.session import Array

# So many different numbers are counted one by one, so many different texts.
NUMBERS, TEXTS = 20, 50
# The share of rows whose numbers are too rare to be named, above which cells are better.
RARE = 0.05


def numeric(values: Floats) -> Json:
    """A column of numbers; NaN is missing."""
    there = values[~np.isnan(values)]
    missing = len(values) - len(there)
    named = _few(there)
    if named is not None:
        numbers, counts = named
        other = len(there) - sum(counts)
        return {"values": numbers, "counts": counts, "other": other, "missing": missing}
    return {**in_cells(there), "missing": missing}


def in_cells(there: Floats, apart: float = 0.0) -> Json:
    """Numbers of which none is missing, in cells whose edges are in gaps wider than `apart`."""
    ordered = cells.ranked(there)
    between, limits = cells.edges(ordered, apart), cells.outer(ordered)
    low, high = limits or (None, None)
    return {
        "edges": between,
        "low": low,
        "high": high,
        "counts": cells.count(there, between),
        "outside": cells.outside(there, limits),
    }


def categorical(values: Array) -> Json:
    """A column of texts that are equal or not; the most frequent ones are named. The empty text is missing."""
    there = _present(values)
    found = pd.Series(there, dtype=object).value_counts()
    frequent = found[found >= FEWEST]
    order = sorted(frequent.index, key=lambda text: (-int(frequent[text]), text))[:TEXTS]
    counts = [int(frequent[text]) for text in order]
    return {
        "values": order,
        "counts": counts,
        "other": len(there) - sum(counts),
        "missing": len(values) - len(there),
    }


def text(values: Array) -> Json:
    """A column of natural text, by its length in characters. The empty text is missing."""
    there = _present(values)
    return {**in_cells(cells.whole(map(len, there))), "missing": len(values) - len(there)}


def date(values: Array) -> Json:
    """A column of dates: time goes on, so they are counted only where they are missing."""
    return {"missing": len(values) - len(_present(values))}


OF_KIND: dict[str, Callable[[Any], Json]] = {
    "numeric": numeric,
    "categorical": categorical,
    "text": text,
    "date": date,
}


def _few(there: Floats) -> tuple[list[float], list[int]] | None:
    """The numbers that enough rows have, if they are few and nearly all rows have one of them."""
    numbers, counts = np.unique(there + 0.0, return_counts=True)
    named = (counts >= FEWEST) & np.isfinite(numbers)
    if len(numbers) > NUMBERS or not named.any() or counts[~named].sum() > RARE * len(there):
        return None
    return numbers[named].tolist(), counts[named].tolist()


def _present(values: Array) -> Array:
    there: Array = values[np.fromiter((bool(value) for value in values), dtype=bool, count=len(values))]
    return there
