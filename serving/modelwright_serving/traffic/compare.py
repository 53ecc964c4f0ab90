"""How far two revisions' answers to the same request are apart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelwright_serving.oip.tensors import Tensor

Outputs = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Labels are the elements of outputs that are no floating point numbers; all others are numbers.

    `difference`: the largest absolute difference between two finite numbers. `non_finite`: numbers that are NaN or
    infinite in their answer only.
    """

    labels: int = 0
    agreeing: int = 0
    numbers: int = 0
    difference: float = 0.0
    non_finite: int = 0


def compare(ours: Outputs, theirs: Outputs) -> Comparison | None:
    """Output by output; None if they have no output of the same name, kind and shape in common."""
    labels = agreeing = numbers = non_finite = 0
    difference = 0.0
    for name, mine in ours.items():
        other = theirs.get(name)
        if other is None or other.size != mine.size or _is_number(other) != _is_number(mine):
            continue
        if not _is_number(mine):
            labels += mine.size
            agreeing += int(np.count_nonzero(mine.ravel() == other.ravel()))
            continue
        here, there = mine.ravel().astype(np.float64), other.ravel().astype(np.float64)
        finite, both = np.isfinite(here), np.isfinite(here) & np.isfinite(there)
        numbers += int(np.count_nonzero(finite))
        non_finite += int(np.count_nonzero(finite & ~both))
        difference = max(difference, float(np.abs(here[both] - there[both]).max(initial=0.0)))
    if not labels and not numbers:
        return None
    return Comparison(labels, agreeing, numbers, difference, non_finite)


def _is_number(tensor: Tensor) -> bool:
    return np.issubdtype(tensor.dtype, np.floating)
