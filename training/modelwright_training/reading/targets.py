"""Decides what kind of task a target stands for and whether a model can learn it; leaves the split to the split."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from modelwright_training.documents import Class, Target, Task
from modelwright_training.errors import InputError
from modelwright_training.reading.columns import Column

TaskFrom = Literal["Run", "Estimator", "Target"]

MAX_CLASSES = 1000
MAX_CLASSES_BY_GUESS = 20


def decide(asked: Task | None, by_estimator: Task | None, target: Column) -> tuple[Task, TaskFrom]:
    """What was asked for, else what the estimator is, else what the target's values look like."""
    if asked and by_estimator and asked != by_estimator:
        raise InputError("DocumentInvalid", f"task is {asked}, but the estimator is made for {by_estimator}.")
    if asked:
        return asked, "Run"
    if by_estimator:
        return by_estimator, "Estimator"
    if target.type in ("string", "boolean"):
        return "Classification", "Target"
    few = target.type == "integer" and target.values.nunique() <= MAX_CLASSES_BY_GUESS
    return ("Classification" if few else "Regression"), "Target"


def check_complete(target: Column) -> None:
    """Refuse a target that is missing in some rows: nothing can be learnt or scored there."""
    missing = int(target.missing.sum())
    if missing:
        row = int(np.flatnonzero(target.missing)[0]) + 1
        raise InputError(
            "TargetHasMissingValues",
            f"The target {target.name!r} is missing in {missing} of {len(target.values)} rows, the first is row {row}. "
            "Remove these rows or fill them.",
        )


def labels(target: Column, task: Task) -> tuple["pd.Series[Any]", Target, list[Class] | None]:
    """The target's values as they are written, what they are, and the classes in sorted order."""
    if task == "Regression":
        if target.kind == "categorical":
            raise _unsuitable(
                target, "regression needs numbers, but it holds text such as", target.values.iloc[0]
            )
        return target.values, Target(name=target.name, type="number"), None
    if target.type == "number":
        broken = target.values[np.floor(target.numbers()) != target.numbers()].iloc[0]
        raise _unsuitable(
            target, "classification needs classes, but it holds broken numbers such as", float(broken)
        )
    whole = target.kind == "numeric"
    values = target.values.astype(np.int64) if whole else target.values
    classes: list[Class] = [int(value) if whole else str(value) for value in sorted(pd.unique(values))]
    _check_classes(target.name, classes)
    return values, Target(name=target.name, type="integer" if whole else "string"), classes


def _check_classes(name: str, classes: list[Class]) -> None:
    if len(classes) < 2:
        raise InputError(
            "OneClassOnly",
            f"The target {name!r} is {classes[0]!r} in every row; there is nothing to tell apart.",
        )
    if len(classes) > MAX_CLASSES:
        raise InputError(
            "TooManyCategories",
            f"The target {name!r} has {len(classes)} different values; classification takes at most {MAX_CLASSES}. "
            "If they are quantities, set task: Regression and use a regressor.",
        )


def _unsuitable(target: Column, what: str, value: object) -> InputError:
    return InputError(
        "TargetUnsuitable", f"The target {target.name!r} does not suit its task: {what} {value!r:.60}."
    )
