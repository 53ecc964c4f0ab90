"""How the outputs of a model are read as predictions: classes with a probability, or numbers.

Which output is what goes by its name, then by its type, as in the steps of training. What becomes of predictions is
left to `feedback` and to whatever counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import nan, prod
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor

Class: TypeAlias = "str | int | float | bool"

_LABELS = ("label", "output_label", "labels")
_NUMBERS = ("probabilities", "output_probability", "scores")
_VALUES = ("value", "variable", "values")
_FEW = 8  # rows that are read one by one: NumPy takes 10 us for any number of them
_SUM = 1e-3  # how far the probabilities of a row may be from adding up to 1


class Profiled(Protocol):
    """What a profile says of predictions: classes in the order of the columns of `table`, and names of outputs."""

    @property
    def classes(self) -> tuple[int | str, ...]: ...
    @property
    def positive(self) -> int | None: ...
    @property
    def label(self) -> str | None: ...
    @property
    def table(self) -> str | None: ...
    @property
    def is_probable(self) -> bool: ...
    @property
    def value(self) -> str | None: ...


@dataclass(frozen=True)
class Read:
    """The predictions of some rows, one entry each.

    `labels`: indices into the classes, -1 for a label that is none of them; 0 for a regression. `values`: of two
    classes the probability of the positive one, of more the largest probability, NaN without probabilities; for a
    regression the number.
    """

    labels: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """Where the predictions of one model are: `label` and `number` are positions of outputs.

    `classes` is empty for a regression. `positive`: the index of the positive class of two. `scored`: the numbers are
    a decision function, which has no probabilities.
    """

    classes: tuple[Class, ...]
    positive: int | None
    label: int | None
    number: int | None
    scored: bool = False

    @classmethod
    def of(cls, signature: Signature, profiled: Profiled | None = None) -> Predictions | None:
        """Those of a model with this signature; None if its outputs cannot be read.

        `profiled` is what the model's profile says of them. Without it the classes are those that the model names
        itself, and a model without classes is a regression if all that it gives is one number for each row.
        """
        if profiled is not None:
            return cls._profiled(signature, profiled)
        classes = _named(signature)
        if not classes:
            return cls._regression(signature)
        return cls._classification(signature, classes) if len(set(map(text, classes))) > 1 else None

    @classmethod
    def _profiled(cls, signature: Signature, profiled: Profiled) -> Predictions:
        positions = signature.output_positions
        if not profiled.classes:
            return cls((), None, None, positions[profiled.value or ""])
        return cls(
            profiled.classes,
            profiled.positive,
            None if profiled.label is None else positions[profiled.label],
            None if profiled.table is None else positions[profiled.table],
            not profiled.is_probable,
        )

    @classmethod
    def _classification(cls, signature: Signature, classes: tuple[Class, ...]) -> Predictions | None:
        two = len(classes) == 2
        label = _find(signature, _LABELS, "iubO", {1})
        number = _find(signature, _NUMBERS, "f", {2, 1} if two else {len(classes)})
        if label is None and number is None:
            return None
        scored = number is not None and signature.outputs[number].name == "scores"
        return cls(classes, 1 if two else None, label, number, scored)

    @classmethod
    def _regression(cls, signature: Signature) -> Predictions | None:
        number = _find(signature, _VALUES, "f", {1})
        return None if number is None or len(signature.outputs) > 1 else cls((), None, None, number)

    @property
    def is_regression(self) -> bool:
        return not self.classes

    @cached_property
    def meaning(self) -> bytes:
        """Two bytes that are equal for models whose labels and values mean the same."""
        document = [list(self.classes), self.positive]
        return sha256(orjson.dumps(document)).digest()[:2]

    @cached_property
    def _places(self) -> dict[object, int]:
        """The index of each class by the label that stands for it: itself, or its text."""
        places: dict[object, int] = {text(value): place for place, value in enumerate(self.classes)}
        return places | {value: place for place, value in enumerate(self.classes)} | self._numbered

    @cached_property
    def _numbered(self) -> dict[object, int]:
        """The same for classes that are numbers written as text, as labels may be the numbers."""
        names = {place: value for place, value in enumerate(self.classes) if isinstance(value, str)}
        return {int(name): place for place, name in names.items() if name.isascii() and name.isdigit()}

    def read(self, arrays: Sequence[Tensor]) -> Read:
        """The predictions in the outputs of a run, in the order of the model's outputs."""
        with np.errstate(all="ignore"):  # whatever numbers a model gives
            return self._read(arrays)

    def _read(self, arrays: Sequence[Tensor]) -> Read:
        if self.is_regression and self.number is not None:
            values = arrays[self.number].reshape(-1).astype(np.float32)
            return Read(np.zeros(len(values), np.int64), values)
        table = None if self.number is None else self._table(arrays[self.number])
        if self.label is not None:
            labels = self._indices(arrays[self.label])
        elif table is not None:
            labels = table.argmax(axis=1).astype(np.int64)
        else:
            labels = np.empty(0, np.int64)
        if table is None or self.scored or len(table) != len(labels):
            return Read(labels, np.full(len(labels), np.nan, np.float32))
        return Read(labels, self._probabilities(table))

    def _probabilities(self, table: Tensor) -> npt.NDArray[np.float32]:
        positive = self.positive
        if len(table) <= _FEW:
            return np.array([_probability(row, positive) for row in table.tolist()], np.float32)
        values = table.max(axis=1) if positive is None else table[:, positive]
        adds_up = (np.abs(table.sum(axis=1) - 1) < _SUM) & (table >= -_SUM).all(axis=1)
        return np.where(adds_up, np.clip(values, 0, 1), np.nan).astype(np.float32)

    def _table(self, numbers: Tensor) -> Tensor | None:
        """A column for each class; a single one is that of the second of two. None if the shape is another."""
        rows, width = len(numbers), len(self.classes)
        if numbers.size == rows * width:
            return numbers.reshape(rows, width)
        if numbers.size != rows or width != 2:
            return None
        column = numbers.reshape(rows, 1)
        return np.hstack([-column if self.scored else 1 - column, column])

    def _indices(self, labels: Tensor) -> npt.NDArray[np.int64]:
        places = self._places
        return np.array([places.get(label, -1) for label in labels.reshape(-1).tolist()], np.int64)


def _probability(row: list[float], positive: int | None) -> float:
    """That of one row, as `_probabilities` has it."""
    if not (abs(sum(row) - 1) < _SUM and min(row) >= -_SUM):
        return nan
    return min(max(max(row) if positive is None else row[positive], 0.0), 1.0)


def text(value: Class) -> str:
    """A class as text: whole numbers without a fraction, booleans as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if float(value).is_integer() else repr(value)


def _named(signature: Signature) -> tuple[Class, ...]:
    """The classes that a model names itself."""
    try:
        found = orjson.loads(signature.properties.get("classes", "null"))
    except orjson.JSONDecodeError:
        return ()
    fits = isinstance(found, list) and all(isinstance(value, str | int | float) for value in found)
    return tuple(found) if fits else ()


def _find(signature: Signature, names: Sequence[str], kinds: str, widths: set[int]) -> int | None:
    """The output of one of the names, else the first of a type, that has an entry of one of the widths for each row."""
    fitting = {
        spec.name: place
        for place, spec in enumerate(signature.outputs)
        if spec.dtype.kind in kinds and _width(spec) in widths
    }
    return next((fitting[name] for name in (*names, *fitting) if name in fitting), None)


def _width(spec: TensorSpec) -> int:
    """How many numbers a row has; 0 if that is not known."""
    if not spec.shape or any(size < 1 for size in spec.shape[1:]):
        return 0
    return prod(spec.shape[1:])
