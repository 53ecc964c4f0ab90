"""Decides what kind of task a target stands for and whether a model can learn it; leaves the split to the split."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.documents import Class, Target, Task
from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.reading import names
from modelwright_training.reading.column import LEADING_ZERO, Column, is_text
from modelwright_training.untyped import ArrowArray

TaskFrom = Literal["Run", "Estimator", "Target"]

MAX_CLASSES_BY_GUESS = 20
# Of two classes, what is positive where the other one is its opposite.
OPPOSITES = {"1": "0", "true": "false", "yes": "no"}


def decide(asked: Task | None, by_estimator: Task | None, target: Column) -> tuple[Task, TaskFrom]:
    """What was asked for, else what the estimator is, else what the target's values look like."""
    if asked and by_estimator and asked != by_estimator:
        raise InputError("DocumentInvalid", f"task is {asked}, but the estimator is made for {by_estimator}.")
    if asked:
        return asked, "Run"
    if by_estimator:
        return by_estimator, "Estimator"
    if target.kind != "numeric" or target.type == "boolean":
        return "Classification", "Target"
    few = target.type == "integer" and len(pc.unique(target.values)) <= MAX_CLASSES_BY_GUESS
    return ("Classification" if few else "Regression"), "Target"


def check_complete(target: Column) -> None:
    """Refuse a target that is missing in some rows: nothing can be learnt or scored there."""
    gone = target.missing
    if target.kind != "numeric":  # a cell of blanks is no label either
        blank = pc.equal(pc.utf8_trim_whitespace(target.values.dictionary), "")
        gone = np.asarray(blank.to_numpy(zero_copy_only=False))[target.values.indices.to_numpy()]
    missing = int(gone.sum())
    if missing:
        row = int(np.flatnonzero(gone)[0]) + 1
        raise InputError(
            "TargetHasMissingValues",
            f"The target {target.name!r} is missing in {missing} of {len(target.values)} rows, the first is row {row}. "
            "Remove these rows or fill them.",
        )


def labels(target: Column, task: Task) -> tuple[ArrowArray, Target, list[Class] | None]:
    """The target's values as the model answers them, what they are, and the classes in sorted order.

    Classes are whole numbers where the file has them written as such: 7, 7.0. Others stay the texts that they are:
    True, 01, 5 €, and whole numbers beyond int64."""
    if task == "Regression":
        if target.kind != "numeric":
            raise _unsuitable(
                target, "regression needs numbers, but it holds text such as", target.written()[0].as_py()
            )
        return target.values.cast(pa.float64(), safe=False), Target(name=target.name, type="number"), None
    if target.type == "number":
        broken = next(number for number in target.numbers().tolist() if not number.is_integer())
        raise _unsuitable(target, "classification needs classes, but it holds broken numbers such as", broken)
    values = None if _as_written(target) else _whole(target)
    if values is None:
        values = _labels_as_written(target) if target.kind == "numeric" else _stripped(target)
    whole = pa.types.is_integer(values.type)
    classes: list[Class] = sorted(pc.unique(values).to_pylist())
    _check_classes(target.name, classes)
    return values, Target(name=target.name, type="integer" if whole else "string"), classes


def _as_written(target: Column) -> bool:
    """Whether whole numbers would be other labels than those that the file has."""
    if (
        target.kind != "numeric"
        or target.type == "boolean"
        or not target.exact
        or not target.convention.plain
    ):
        return True
    return is_text(target.raw.type) and bool(
        pc.any(pc.match_substring_regex(target.raw, LEADING_ZERO)).as_py()
    )


def _whole(target: Column) -> ArrowArray | None:
    try:
        return target.values.cast(pa.int64())
    except pa.ArrowInvalid:  # floats beyond int64
        return None


def _labels_as_written(target: Column) -> ArrowArray:
    """The texts; where flags are written in more than one way (True, TRUE), in small letters."""
    written = target.written()
    if target.type == "boolean" and len(pc.unique(written)) > len(pc.unique(target.values)):
        written = pc.utf8_lower(written)
        if len(pc.unique(written)) > len(pc.unique(target.values)):  # 1 beside true
            written = pc.if_else(pc.equal(target.values, 1), "true", "false")
    return written


def _stripped(target: Column) -> ArrowArray:
    return pc.utf8_trim_whitespace(target.stored())


def _check_classes(name: str, classes: list[Class]) -> None:
    if len(classes) < 2:
        raise InputError(
            "OneClassOnly",
            f"The target {name!r} is {classes[0]!r} in every row; there is nothing to tell apart.",
        )
    if len(classes) > names.MAX_CLASSES:
        raise InputError(
            "TooManyCategories",
            f"The target {name!r} has {len(classes)} different values; classification takes at most "
            f"{names.MAX_CLASSES}. If they are quantities, set task: Regression and use a regressor.",
        )
    for label in classes:
        if isinstance(label, str) and (fault := names.fault_of(label)):
            raise InputError(
                "NameUnsuitable",
                f"The target {name!r} has a class {names.shown(label)} {fault}. Give the classes other labels.",
            )
    for one, other in names.alike(label for label in classes if isinstance(label, str)):
        raise InputError(
            "NameUnsuitable",
            f"The target {name!r} has classes {one!a} and {other!a} that look the same: they differ only in blanks or "
            "in how characters are encoded. Write both alike.",
        )


def positive_class(
    asked: Class | None, classes: list[Class] | None, counts: Mapping[Class, int]
) -> Class | None:
    """Of two classes, the one that is asked for; else 1, true or yes where the other is the opposite; else the rarer.

    None if there are not two classes. `counts` holds the rows of each class; of equally rare ones it is the last."""
    if asked is not None:
        found = [label for label in classes or [] if str(label) == str(asked)]
        if len(classes or []) == 2 and found:
            return found[0]
        known = [str(label) for label in classes or []]
        what = (
            "is for classification"
            if not classes
            else f"is for two classes, but the target has {len(classes)}"
            if len(classes) != 2
            else f"is no class of the target, which has {listing(known)}.{suggestion(str(asked), known)}"
        )
        raise InputError(
            "PositiveClassUnknown", f"data.positiveClass {str(asked)!r} {what.removesuffix('.')}."
        )
    if not classes or len(classes) != 2:
        return None
    first, last = classes
    for label, other in ((first, last), (last, first)):
        if OPPOSITES.get(str(label).casefold()) == str(other).casefold():
            return label
    return first if counts[first] < counts[last] else last


def _unsuitable(target: Column, what: str, value: object) -> InputError:
    return InputError(
        "TargetUnsuitable", f"The target {target.name!r} does not suit its task: {what} {value!r:.60}."
    )
