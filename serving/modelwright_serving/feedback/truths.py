"""What callers say is true: JSON values to classes and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from modelwright_serving.oip.errors import OipError
from modelwright_serving.predictions import Class, Predictions, text

_LARGEST = 3.4028234663852886e38  # of 32-bit floats: squares of larger ones would not be finite


class Truths:
    """Reads the truths for one model.

    A class is met by its JSON value or by its text: 1, 1.0 and "1" are the same class, as are true and "true". Where
    the classes are false and true, or 0 and 1, numbers and booleans stand for each other.
    """

    def __init__(self, predictions: Predictions | None) -> None:
        self._predictions = predictions
        classes = () if predictions is None else predictions.classes
        self._places = {text(value): place for place, value in enumerate(classes)}
        if _are_binary(classes):
            for names in (("0", "false", "False"), ("1", "true", "True")):
                known = next((self._places[name] for name in names if name in self._places), None)
                if known is not None:
                    self._places |= dict.fromkeys(names, known)

    def check(self, truths: Sequence[Any]) -> None:
        """OipError that names the first truth which cannot be one, whatever its token says."""
        numbers_only = self._predictions is not None and self._predictions.is_regression
        for index, truth in enumerate(truths):
            kind = type(truth)
            if kind is str or kind is bool:
                fits = not numbers_only
            else:
                fits = (kind is int or kind is float) and isfinite(truth) and abs(truth) <= _LARGEST
            if not fits:
                what = "a finite number" if numbers_only else "a string, a number, true or false"
                raise OipError(f"truth[{index}] has to be {what}")

    def place(self, truth: Class) -> int | None:
        """The index of the class; None if the model does not have it."""
        return self._places.get(truth if type(truth) is str else text(truth))


def _are_binary(classes: Sequence[Class]) -> bool:
    return len(classes) == 2 and all(isinstance(value, bool | int) and value in {0, 1} for value in classes)
