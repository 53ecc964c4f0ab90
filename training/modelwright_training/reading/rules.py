"""Checks columns against the schema that the user has written; knows nothing of models.

Rows are counted from 1, the first row of data."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from modelwright_training.documents import ColumnRule
from modelwright_training.errors import InputError
from modelwright_training.reading.columns import Column, Mask

SHOWN = 5
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Violation:
    """A value that a rule forbids."""

    row: int
    column: str
    value: str
    rule: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column!r}: {self.value} breaks {self.rule}"


def check(columns: Mapping[str, Column], rules: Mapping[str, ColumnRule]) -> None:
    """Refuse data that breaks its schema: name the first rows and count the rest."""
    total, first = violations(columns, rules)
    if total:
        shown = "; ".join(str(violation) for violation in first)
        more = f" and {total - len(first)} more" if total > len(first) else ""
        raise InputError(
            "SchemaViolation", f"{total} values break data.schema: {shown}{more}. (Row 1 follows the header.)"
        )


def violations(columns: Mapping[str, Column], rules: Mapping[str, ColumnRule]) -> tuple[int, list[Violation]]:
    """How many values break a rule, and the first of them by row."""
    total, found = 0, []
    for name, rule in rules.items():
        for text, mask in _broken(columns[name], rule):
            total += int(mask.sum())
            places = np.flatnonzero(mask)[:SHOWN].tolist()
            found += [Violation(place + 1, name, _shown(columns[name], place), text) for place in places]
    return total, sorted(found, key=lambda violation: violation.row)[:SHOWN]


def _broken(column: Column, rule: ColumnRule) -> Iterator[tuple[str, Mask]]:
    """Each rule in words with the values that break it."""
    missing = column.missing
    there = ~missing & ~column.unfit
    if column.unfit.any():
        yield f"type: {column.type}", column.unfit
    if not rule.nullable:
        yield "nullable: false", missing
    if rule.values is not None:
        yield _choices(rule.values), there & ~_among(column, rule.values)
    if column.kind == "numeric":
        numbers = column.numbers()
        if rule.min is not None:
            yield f"min: {rule.min:g}", there & (numbers < rule.min)
        if rule.max is not None:
            yield f"max: {rule.max:g}", there & (numbers > rule.max)
    elif rule.min is not None or rule.max is not None:
        yield "min/max, which only numbers can keep", there


def _choices(values: list[int | float | str]) -> str:
    text = ", ".join(str(value) for value in values[:6])
    return f"values: [{text}{', …' if len(values) > 6 else ''}]"


def _among(column: Column, values: Iterable[int | float | str]) -> Mask:
    if column.kind == "categorical":
        return np.asarray(column.values.isin([str(value) for value in values]), dtype=bool)
    allowed = [float(value) for value in values if not isinstance(value, str)]
    return np.isin(column.numbers(), allowed)


def _shown(column: Column, place: int) -> str:
    if column.missing[place]:
        return "a missing value"
    value = column.raw.iloc[place]
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def check_range(column: Column) -> None:
    """Refuse numbers that a float32, which models are served with, cannot hold."""
    if column.kind == "categorical":
        return
    outside = np.abs(column.numbers()) > FLOAT32_MAX
    if outside.any():
        row = int(np.flatnonzero(outside)[0]) + 1
        raise InputError(
            "ValueOutOfRange",
            f"Column {column.name!r} holds {int(outside.sum())} values that are infinite or beyond ±3.4e38, "
            f"the first in row {row}. Models are served in float32: clip the values or leave the column out.",
        )
