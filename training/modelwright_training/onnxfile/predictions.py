"""Tells which of a model's outputs are labels, probabilities, scores or values; judges none of them.

An output is found by its name, then by its type. What does not add up to 1 is no probability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelwright_training.documents import Class, Dataset
from modelwright_training.errors import InputError
from modelwright_training.onnxfile.session import DTYPES, Array, Arrays, Model, Tensor, listed

LABELS = ("label", "output_label", "labels")
NUMBERS = ("probabilities", "output_probability", "scores")
VALUES = ("value", "variable", "values")
# The kinds of numpy's types that each may have.
OF_LABELS, OF_NUMBERS, OF_VALUES = "iuOUS", "f", "fiu"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What a model predicts for some rows; a classifier has labels, a regressor values."""

    labels: Array | None = None
    probabilities: Floats | None = None
    scores: Floats | None = None
    values: Floats | None = None


def classes_of(model: Model, dataset: Dataset) -> list[Class] | None:
    """The classes in the order of the probability columns: as the model says, else sorted."""
    if dataset.classes is None:
        return None
    named = listed(model, "classes")
    if named is None:
        return dataset.classes
    wanted = int if dataset.target.type == "integer" else str
    if not all(type(value) is wanted for value in named):
        raise _unsuitable(
            f"its property dev.modelwright.classes holds {named[:5]}, the target {dataset.target.type}s"
        )
    return named


def read(outputs: Arrays, classes: Sequence[Class] | None) -> Predictions:
    """The predictions in a model's outputs; `classes` is None for a regression."""
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            broken = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
            first = int(np.flatnonzero(broken)[0]) + 1
            raise _unsuitable(
                f"output {name!r} is not a finite number in {int(broken.sum())} rows, first row {first}"
            )
    return _values(outputs) if classes is None else _classification(outputs, classes)


def label_names(outputs: Sequence[Tensor]) -> tuple[str | None, str | None]:
    """The names of a classifier's outputs: of the labels, and of the probabilities or scores."""
    return _named(outputs, LABELS, OF_LABELS), _named(outputs, NUMBERS, OF_NUMBERS)


def value_name(outputs: Sequence[Tensor]) -> str | None:
    """The name of a regressor's output."""
    return _named(outputs, VALUES, OF_VALUES)


def _named(outputs: Sequence[Tensor], names: Sequence[str], kinds: str) -> str | None:
    fitting = [each.name for each in outputs if np.dtype(DTYPES[each.datatype]).kind in kinds]
    return next(iter([*(name for name in names if name in fitting), *fitting]), None)


def _values(outputs: Arrays) -> Predictions:
    found = _find(outputs, VALUES, OF_VALUES)
    if found is None or found.size != len(found):
        raise _unsuitable("a regression needs an output with one number per row, best called 'value'")
    return Predictions(values=found.reshape(-1).astype(np.float64))


def _classification(outputs: Arrays, classes: Sequence[Class]) -> Predictions:
    labels = _find(outputs, LABELS, OF_LABELS)
    numbers = _find(outputs, NUMBERS, OF_NUMBERS)
    table = None if numbers is None else numbers.reshape(len(numbers), -1).astype(np.float64)
    probabilities = None if table is None or "scores" in outputs else _probabilities(table, len(classes))
    scores = table if probabilities is None else None
    if labels is None:
        labels = _best(probabilities if probabilities is not None else scores, classes)
    return Predictions(_checked(labels, classes), probabilities, scores)


def _find(outputs: Arrays, names: Sequence[str], kinds: str) -> Array | None:
    """The output of one of the names, else the first of a type."""
    fitting = {name: array for name, array in outputs.items() if array.dtype.kind in kinds}
    named = [fitting[name] for name in names if name in fitting]
    return next(iter([*named, *fitting.values()]), None)


def _probabilities(table: Floats, classes: int) -> Floats | None:
    """Rows that add up to 1, or one column with the probability of the second of two classes."""
    if table.min() < -1e-6 or table.max() > 1 + 1e-6:
        return None
    if table.shape[1] == 1 and classes == 2:
        return np.hstack([1 - table, table])
    adds_up = table.shape[1] == classes and bool((np.abs(table.sum(axis=1) - 1) < 1e-3).all())
    return table if adds_up else None


def _best(table: Floats | None, classes: Sequence[Class]) -> Array:
    places: npt.NDArray[np.intp] | None = None
    if table is not None and table.shape[1] == len(classes):
        places = table.argmax(axis=1)
    elif table is not None and table.shape[1] == 1 and len(classes) == 2:
        places = (table[:, 0] > 0).astype(np.intp)
    if places is not None:
        return np.array([classes[place] for place in places])
    raise _unsuitable(
        f"a classification into {len(classes)} classes needs an output 'label', or one with {len(classes)} columns"
    )


def _checked(labels: Array, classes: Sequence[Class]) -> Array:
    flat = labels.reshape(-1)
    text = isinstance(classes[0], str)
    if flat.size != len(labels) or (flat.dtype.kind in "iu") == text:
        kind = "text" if text else "whole numbers"
        raise _unsuitable(
            f"the target's classes are {kind} such as {classes[0]!r}, its labels are {flat[:1].tolist()}"
        )
    return flat.astype(str) if text else flat.astype(np.int64)


def _unsuitable(what: str) -> InputError:
    return InputError("OutputUnsuitable", f"The model's outputs do not suit the task: {what}.")
