"""Finds rows that are equal in some columns."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.untyped import ArrowArray

Ids = npt.NDArray[np.int64]
Cells = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

MISSING = 0x7FF8000000000000
"""The cell of a missing value: the bits of a NaN."""

# Odd constants of the mixer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
_GAMMA, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def ids(columns: Iterable[ArrowArray]) -> Ids:
    """A number for each row, the same for rows that are equal in all `columns`: 0, 1, … as they first appear.

    Rows are told apart by 64-bit hashes: among a million different ones, two are taken for equal with a probability
    of 3e-8."""
    mixed: Cells | None = None
    for values in columns:
        found = _cells(values)
        mixed = _mix(found) if mixed is None else _mix(mixed * _GAMMA + found)
    if mixed is None:
        raise ValueError("rows of no columns cannot be told apart")
    return numbered(mixed)


def numbered(values: npt.NDArray[Any]) -> Ids:
    """A number for each value, 0, 1, … as they first appear."""
    return pd.factorize(values)[0].astype(np.int64, copy=False)


def bits(floats: Floats) -> Cells:
    """The bits of each number; those of 0 for -0, and of one NaN for all."""
    cells = (floats + 0.0).view(np.uint64)
    cells[np.isnan(floats)] = MISSING
    return cells


def coded(values: ArrowArray) -> tuple[Ids, ArrowArray]:
    """The place of each value among the distinct ones (-1: missing), and these."""
    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries() if pa.types.is_dictionary(values.type) else values
        values = values.combine_chunks()
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1)).astype(np.int64), encoded.dictionary


def _cells(values: ArrowArray) -> Cells:
    """64 bits for each value, the same for equal values of this column."""
    if pa.types.is_floating(values.type):
        return bits(np.asarray(values).astype(np.float64))
    if pa.types.is_integer(values.type):
        cells = np.asarray(pc.fill_null(values, 0)).astype(np.int64).view(np.uint64)
        cells[np.asarray(values.is_null())] = MISSING
        return cells
    return coded(values)[0].view(np.uint64)


def _mix(cells: Cells) -> Cells:
    cells = (cells ^ (cells >> np.uint64(30))) * _FIRST
    cells = (cells ^ (cells >> np.uint64(27))) * _SECOND
    return cells ^ (cells >> np.uint64(31))
