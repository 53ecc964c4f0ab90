"""Chooses the rows that the trainer will not see; the same rows for the same data and seed, whatever else goes on.

Every row belongs to a unit, which is on one side as a whole: a group, a set of equal rows, or the row alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from modelwright_training.documents import Duplicates, Holdout
from modelwright_training.errors import InputError, row_listing
from modelwright_training.reading import equal_rows, moments, stable, units
from modelwright_training.reading.column import Column
from modelwright_training.reading.equal_rows import Ids
from modelwright_training.untyped import ArrowArray

Mask = npt.NDArray[np.bool_]

MIN_ROWS = 10
FEW_GROUPS = 5
# A set of equal rows that is larger than this share of the hold-out is divided: else it would be all of one side.
LARGE_SET = 0.25
# How far the share of held-out rows may be from the fraction, relative to it, before it is noted.
TOLERANCE = 0.25
SHOWN = 3


@dataclass(frozen=True)
class Table:
    """What a split depends on: columns of the same number of rows.

    classification: whether the target's values are classes. group, key: those columns as text, empty where missing.
    after: the column of times. own: how many rows at the end are a hold-out of the user's own."""

    features: Mapping[str, ArrowArray]
    target: ArrowArray
    classification: bool
    group: ArrowArray | None = None
    key: ArrowArray | None = None
    after: Column | None = None
    own: int = 0


@dataclass(frozen=True)
class Split:
    """Row numbers, each side in the order of the data; the notes say what a reader of metrics should know.

    units: a number for each row, the same for rows that tell less than as many others: of a group, or equal."""

    train: Ids
    holdout: Ids
    units: Ids
    stratified: bool
    duplicates: Duplicates
    notes: list[str] = field(default_factory=list)


def split(holdout: Holdout, table: Table) -> Split:
    """Divide the rows of a table into those to learn from and those to score on."""
    rows = len(table.target)
    classes, distinct = equal_rows.coded(table.target)
    equal = equal_rows.ids(table.features.values())
    few = equal.max() + 1 < rows and _has_few_values(table, rows)
    for column, role, values in ((holdout.group, "group", table.group), (holdout.key, "key", table.key)):
        if values is not None:
            _check_present(values, f"{column!r} (data.holdout.{role})")
    groups = None if table.group is None else equal_rows.coded(table.group)[0]
    by_fraction = not (table.own or table.after)
    stratified = (
        by_fraction
        and groups is None
        and holdout.split == "Random"
        and holdout.stratify
        and table.classification
    )
    if by_fraction:
        size = round(rows * holdout.fraction)
        _check_rows(rows, size)
        if holdout.split == "Stable":
            held = _stable(holdout, table)
        elif groups is not None:
            held = _by_group(groups, holdout)
        else:
            unit = np.arange(rows) if few else _sets(equal, classes, size)
            held = _random(unit, classes if stratified else np.zeros_like(classes), holdout)
    elif table.after and holdout.after:
        held = moments.not_before(table.after, holdout.after.value)
    else:
        held = np.arange(rows) >= rows - table.own
    if rows - held.sum() < 2 or not held.any():
        raise _too_few(rows, int(held.sum()))
    duplicates = _duplicates(equal, classes, held)
    notes = _by_class(classes, distinct.to_pylist(), held) if table.classification else []
    notes += _by_share(held, holdout, groups) if by_fraction else []
    notes += [] if few and not table.own else _by_duplicates(duplicates, rows, int(held.sum()))
    alike = groups if groups is not None else np.arange(rows) if few else equal
    return Split(np.flatnonzero(~held), np.flatnonzero(held), alike, stratified, duplicates, notes)


def _check_present(values: ArrowArray, column: str) -> None:
    missing = np.asarray(pc.equal(pc.fill_null(values, ""), ""))
    if missing.any():
        raise _unsuitable(
            f"Column {column} is missing in {int(missing.sum())} rows: {row_listing(missing)}. "
            "Fill them or remove these rows."
        )


def _check_rows(rows: int, size: int) -> None:
    if rows < MIN_ROWS or size < 1 or rows - size < 2:
        raise _too_few(rows, size)


def _too_few(rows: int, held: int) -> InputError:
    return InputError(
        "TooFewRows",
        f"The data has {rows} rows, of which {held} would be held out. "
        f"At least {MIN_ROWS} rows are needed, 1 to score on and 2 to learn from.",
    )


def _stable(holdout: Holdout, table: Table) -> Mask:
    by = table.group if table.group is not None else table.key
    places = stable.places(dict(table.features) if by is None else {"": by}, holdout.seed)
    held: Mask = places < holdout.fraction
    return held


def _by_group(groups: Ids, holdout: Holdout) -> Mask:
    if groups.max() == 0:
        raise _unsuitable(
            f"All rows are of one group: {holdout.group!r} (data.holdout.group) holds one value only."
        )
    return _random(groups, np.zeros_like(groups), holdout)


def _random(unit: Ids, strata: Ids, holdout: Holdout) -> Mask:
    held = np.zeros(unit.max() + 1, dtype=bool)
    held[units.choose(unit, strata, holdout.fraction, holdout.seed)] = True
    found: Mask = held[unit]
    return found


def _sets(equal: Ids, classes: Ids, size: int) -> Ids:
    """The unit of each row: rows with equal features are one, unless they are observations of their own.

    They are, where the targets of equal rows agree hardly more than those of any two rows, and in large sets."""
    rows, sizes = np.arange(len(equal)), np.bincount(equal)
    if len(sizes) == len(equal):
        return rows
    alike, same = _partners(equal, classes)
    repeated = alike > 1
    agreement = ((same - 1)[repeated] / (alike - 1)[repeated]).mean()
    chance = ((np.bincount(classes) / len(classes)) ** 2).sum()
    if agreement < (1 + chance) / 2:
        return rows
    alone = sizes[equal] > max(2, LARGE_SET * size)
    return equal_rows.numbered(np.where(alone, len(sizes) + rows, equal))


def _has_few_values(table: Table, rows: int) -> bool:
    """Whether the columns have so few different values that rows have to repeat."""
    possible = 1
    for values in table.features.values():
        possible *= max(1, len(equal_rows.coded(values)[1]))
        if possible > rows:
            return False
    return True


def _partners(equal: Ids, classes: Ids) -> tuple[Ids, Ids]:
    """How many rows have the features of each row, and how many of those its target as well; it counts itself."""
    both = equal_rows.numbered(equal * (classes.max() + 1) + classes)
    return np.bincount(equal)[equal], np.bincount(both)[both]


def _duplicates(equal: Ids, classes: Ids, held: Mask) -> Duplicates:
    sizes, same = _partners(equal, classes)
    learnt = np.zeros(equal.max() + 1, dtype=bool)
    learnt[equal[~held]] = True
    return Duplicates(
        rows=len(equal) - round(float((1 / same).sum())),
        ambiguous=int((same < sizes).sum()),
        across=int(learnt[equal[held]].sum()),
    )


def _by_share(held: Mask, holdout: Holdout, groups: Ids | None) -> list[str]:
    """Notes on a hold-out that is larger or smaller than asked for, or of few groups."""
    notes = []
    share = held.mean()
    if abs(share - holdout.fraction) > max(TOLERANCE * holdout.fraction, 1 / len(held)):
        notes.append(f"{100 * share:.3g} % of the rows are held out, not {100 * holdout.fraction:.3g} %")
    if groups is not None:
        count, out = int(groups.max()) + 1, len(np.unique(groups[held]))
        if min(out, count - out) < FEW_GROUPS:
            notes.append(
                f"{out} of {count} groups of {holdout.group!r} are held out: metrics depend on which"
            )
    return notes


def _by_class(classes: Ids, labels: list[object], held: Mask) -> list[str]:
    """Notes on classes that one side has no row of; refuses a side that has only one to learn from."""
    left = np.unique(classes[~held])
    if len(left) < 2:
        raise InputError(
            "OneClassOnly",
            f"All {int((~held).sum())} rows to learn from are of class {labels[left[0]]!r}. "
            "Use more data of the other classes, or another data.holdout.",
        )
    notes = []
    for side, what in (
        (~held, "only in the hold-out, unknown to the model"),
        (held, "not in the hold-out, not scored"),
    ):
        counts = np.bincount(classes[side], minlength=len(labels))
        absent = [repr(labels[place]) for place in np.flatnonzero(counts == 0)]
        if absent:
            more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
            notes.append(f"{what}: class{'es' if len(absent) > 1 else ''} {', '.join(absent[:SHOWN])}{more}")
    return notes


def _by_duplicates(duplicates: Duplicates, rows: int, held: int) -> list[str]:
    """Notes on rows that are equal to others."""
    notes = []
    if duplicates.across:
        notes.append(f"{duplicates.across} of {held} held-out rows have the features of rows to learn from")
    elif duplicates.rows:
        what = "repeats another" if duplicates.rows == 1 else "repeat others"
        notes.append(f"{duplicates.rows} of {rows} rows {what}; equal rows are on one side")
    if duplicates.ambiguous:
        notes.append(
            f"{duplicates.ambiguous} of {rows} rows have the features of another row, but not its target"
        )
    return notes


def _unsuitable(message: str) -> InputError:
    return InputError("HoldoutUnsuitable", message)
