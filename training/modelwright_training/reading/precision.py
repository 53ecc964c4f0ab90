"""Finds numbers that float32, in which models compute, cannot tell apart, and what to subtract so that it can.

A float32 has 24 bits: whole numbers beyond 16,777,216 and numbers that are large beside their spread lose digits."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]

EXACT_FLOAT32, EXACT_FLOAT64 = 2**24, 2**53
# Steps of float32 over the range of a column. With fewer, means and distances lose digits even if all values are kept
# apart; with more, what is merged of numbers that are not whole is too close to matter.
ENOUGH_STEPS = 1 << 16
# The share of the different values that an offset has to make distinct in addition, unless it makes all distinct.
GAIN = 0.01


@dataclass(frozen=True)
class Precision:
    """How many different values a column has, how many float32 keeps apart, and how many with the offset subtracted."""

    different: int
    kept: int
    offset: int | float | None = None
    datatype: Literal["FP64", "INT64"] | None = None
    kept_with_offset: int = 0


def measure(numbers: Numbers) -> Precision | None:
    """What float32 loses of numbers (int64 or float64, none missing); None if it loses nothing that matters."""
    if not len(numbers):
        return None
    low, high = numbers.min().item(), numbers.max().item()
    largest = max(abs(low), abs(high))
    if low == high or not np.isfinite(largest):
        return None
    whole = numbers.dtype == np.int64 or bool((np.floor(numbers) == numbers).all())
    coarse = float(np.spacing(np.float32(largest))) * ENOUGH_STEPS > high - low
    if largest <= EXACT_FLOAT32 if whole else not coarse:
        return None
    values = np.unique(numbers)
    kept = _distinct(values)
    if kept == len(values) and not coarse:
        return None
    counts = {offset: _distinct(values - offset) for offset in _offsets(values, whole)}
    best = max(counts, key=lambda offset: counts[offset], default=None)
    gain = counts[best] - kept if best is not None else -1
    if gain < 0 or not (coarse or kept + gain == len(values) or gain >= GAIN * len(values)):
        return Precision(len(values), kept)
    datatype: Literal["FP64", "INT64"] = "FP64"
    if numbers.dtype == np.int64 and largest > EXACT_FLOAT64:
        datatype = "INT64"
    return Precision(len(values), kept, best, datatype, kept + gain)


def _distinct(values: npt.NDArray[Any]) -> int:
    """How many float32 values sorted numbers become."""
    narrow = values.astype(np.float32)
    return int((np.diff(narrow) != 0).sum()) + 1


def _offsets(values: Numbers, whole: bool) -> list[int | float]:
    """What may be subtracted, the roundest first: near the least value, the middle, and the median."""
    low, high, median = (values[place].item() for place in (0, -1, len(values) // 2))
    if whole:
        low, high, median = int(low), int(high), int(median)
        exact = [low, (low + high) // 2, median]
        unit = 10 ** max(0, len(str(high - low)) - 2)
        rounded = [value // unit * unit for value in exact]
    else:
        exact = [low, (low + high) / 2, median]
        rounded = [round(value, 1 - math.floor(math.log10(high - low))) for value in exact]
    candidates = dict.fromkeys([*rounded, *exact])
    if values.dtype == np.int64 and max(-low, high) > EXACT_FLOAT64:  # the difference has to fit int64
        limit = int(np.iinfo(np.int64).max)
        return [each for each in candidates if max(high - each, each - low, abs(each)) <= limit]
    return [each for each in candidates if float(each) == each]
