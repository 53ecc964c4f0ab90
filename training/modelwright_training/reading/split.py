"""Chooses the rows that the trainer will not see; the same rows for the same seed, whatever else goes on."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from modelwright_training.documents import Holdout
from modelwright_training.errors import InputError

Rows = npt.NDArray[np.int64]

MIN_ROWS = 10


@dataclass(frozen=True)
class Split:
    """Row numbers, each side in the order of the data; `note` says why classes are not kept in proportion."""

    train: Rows
    holdout: Rows
    stratified: bool
    note: str | None = None


def split(rows: int, holdout: Holdout, classes: npt.NDArray[Any] | None) -> Split:
    """Split `rows` rows; `classes` holds the class of each row, or is None for a regression."""
    size = round(rows * holdout.fraction)
    if rows < MIN_ROWS or size < 1 or rows - size < 2:
        raise InputError(
            "TooFewRows",
            f"The data has {rows} rows, of which {size} would be held out. "
            f"At least {MIN_ROWS} rows are needed, 1 to score on and 2 to learn from.",
        )
    note = _why_not_stratified(rows, size, classes) if holdout.stratify and classes is not None else None
    by = classes if holdout.stratify and note is None else None
    train, held = train_test_split(np.arange(rows), test_size=size, random_state=holdout.seed, stratify=by)
    _check_learnable(classes, train)
    return Split(np.sort(train), np.sort(held), by is not None, note)


def _why_not_stratified(rows: int, size: int, classes: npt.NDArray[Any]) -> str | None:
    counts = Counter(classes.tolist())
    single = [value for value, count in counts.items() if count < 2]
    if single:
        return f"not stratified: class {single[0]!r} has only one row"
    if len(counts) > min(size, rows - size):
        return f"not stratified: {len(counts)} classes do not fit a side of {min(size, rows - size)} rows"
    return None


def _check_learnable(classes: npt.NDArray[Any] | None, train: Rows) -> None:
    if classes is not None and len(set(classes[train].tolist())) < 2:
        raise InputError(
            "OneClassOnly",
            f"All {len(train)} rows to learn from are of class {classes[train][0]!r}. "
            "Use more data of the other classes, a smaller holdout.fraction or another holdout.seed.",
        )
