"""Tells columns that name rows from columns that describe them, and which texts of a column are distinguished.

A model that learns from a customer's number knows its training rows by heart and nothing of others."""

import numpy as np
import pyarrow as pa

from modelwright_training.reading.column import MOSTLY, Column

# Texts: nearly all differ. A table below this many rows is too small to say so.
TEXT_ROWS, TEXT_SHARE = 20, 0.9
# Whole numbers: all differ, and they count the rows, or are as long as identifiers are.
COUNTING_ROWS, LONG_ROWS, LONG = 100, 20, 10**9
# Unix times in seconds, milliseconds and microseconds, 2001 to 2049, are long and may all differ.
UNIX_TIMES = tuple((10**9 * unit, 25 * 10**8 * unit) for unit in (1, 10**3, 10**6))

MAX_CATEGORIES = 1000
FLOOR = 10


def why_identifier(column: Column) -> str | None:
    """What makes a column an identifier, in words; None if it is none, or of another kind."""
    if column.kind == "categorical":
        texts, counts = column.texts
        rows = int(counts.sum())
        if rows >= TEXT_ROWS and len(texts) >= TEXT_SHARE * rows:
            numbers = ", most of them numbers" if column.numeric >= MOSTLY else ""
            return f"{len(texts)} different texts in {rows} rows{numbers}"
        if len(texts) > MAX_CATEGORIES and counts.max() < FLOOR:
            return f"{len(texts)} different texts, none in {FLOOR} rows or more"
    elif column.type == "integer":
        return _why_numbers_identify(column)
    return None


def _why_numbers_identify(column: Column) -> str | None:
    numbers = column.present()
    rows = len(numbers)
    if rows < LONG_ROWS:
        return None
    low, high = int(numbers.min()), int(numbers.max())
    if rows >= COUNTING_ROWS and high - low == rows - 1 and (np.diff(numbers) == 1).all():
        return f"it counts the rows from {low} to {high}"
    if low < LONG or any(first <= low and high < last for first, last in UNIX_TIMES):
        return None
    if len(np.unique(numbers)) == rows:
        return f"{rows} different numbers of {len(str(low))} digits or more"
    return None


def frequent(column: Column) -> list[str] | None:
    """The texts that are kept apart, sorted, where a column has too many: the most frequent, each in 10 rows or more.

    None if the column has at most 1,000 different texts: then all are distinguished."""
    texts, counts = column.texts
    if len(texts) <= MAX_CATEGORIES:
        return None
    enough = np.flatnonzero(counts >= FLOOR)
    kept = texts.take(pa.array(enough)).to_pylist()
    ranked = sorted(zip(-counts[enough], kept, strict=True))[:MAX_CATEGORIES]
    return sorted(text for _, text in ranked)
