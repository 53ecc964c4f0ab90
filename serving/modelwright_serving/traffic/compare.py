"""How far two revisions' answers to the same request are apart. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from modelwright_serving.oip.response import Output, Outputs
from modelwright_serving.oip.tensors import Tensor


class Uncompared(Enum):
    """Why a request is not copied, or an output of two answers is not compared."""

    BUSY = "Busy"
    """Too many copied requests waited for their answer."""
    TOO_LARGE = "TooLarge"
    """The request, or one of the answers."""
    OTHER_OUTPUTS = "OtherOutputs"
    """The other answer has no output of this name."""
    OTHER_CLASSES = "OtherClasses"
    """One object by class has other classes than the other."""
    OTHER_TYPES = "OtherTypes"
    """Floating point numbers here, something else there, or the other way round."""
    OTHER_SHAPES = "OtherShapes"
    """The outputs have different numbers of elements."""
    NO_VALUES = "NoValues"
    """The output has no elements here, or no finite number."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Labels are the elements of outputs that are no floating point numbers; all others are numbers.

    `numbers`: how many of this revision's are finite. `difference`: the largest absolute difference between two finite
    numbers. `non_finite`: the other answer has a number that is NaN or infinite, and this one has none. Where both have
    one, the row is odd, and no evidence against either. `uncompared`: why outputs were left out.
    """

    labels: int = 0
    agreeing: int = 0
    numbers: int = 0
    difference: float = 0.0
    non_finite: bool = False
    uncompared: frozenset[Uncompared] = frozenset()

    @property
    def is_empty(self) -> bool:
        """True if nothing could be compared."""
        return not self.labels and not self.numbers


def compare(ours: Outputs, theirs: Outputs) -> Comparison:
    """Compares two answers, output by output of the same name."""
    labels = agreeing = numbers = 0
    difference = 0.0
    all_finite_here = all_finite_there = True
    uncompared: set[Uncompared] = set()
    for name, mine in ours.items():
        other = theirs.get(name)
        if other is None:
            uncompared.add(Uncompared.OTHER_OUTPUTS)
            continue
        if reason := _unlike(mine, other):
            uncompared.add(reason)
            continue
        here, there = mine.values.ravel(), other.values.ravel()
        if _is_number(here):
            here, there = here.astype(np.float64), there.astype(np.float64)
            finite_here, finite_there = np.isfinite(here), np.isfinite(there)
            both = finite_here & finite_there
            values = int(np.count_nonzero(finite_here))
            numbers += values
            difference = max(difference, float(np.abs(here[both] - there[both]).max(initial=0.0)))
            all_finite_here &= bool(finite_here.all())
            all_finite_there &= bool(finite_there.all())
        else:
            values = here.size
            labels += values
            agreeing += int(np.count_nonzero(here == there))
        if not values:
            uncompared.add(Uncompared.NO_VALUES)
    non_finite = all_finite_here and not all_finite_there
    return Comparison(labels, agreeing, numbers, difference, non_finite, frozenset(uncompared))


def _unlike(mine: Output, other: Output) -> Uncompared | None:
    """Why two outputs cannot be compared; None if they can."""
    if mine.classes != other.classes:
        return Uncompared.OTHER_CLASSES
    if mine.values.size != other.values.size:
        return Uncompared.OTHER_SHAPES
    if _is_number(mine.values) != _is_number(other.values):
        return Uncompared.OTHER_TYPES
    return None


def _is_number(tensor: Tensor) -> bool:
    return np.issubdtype(tensor.dtype, np.floating)
