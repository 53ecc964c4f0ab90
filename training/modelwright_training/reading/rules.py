"""Checks columns against the schema that the user has written, exactly; knows nothing of models.

Rows are counted from 1, the first row of data."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modelwright_training.documents import ColumnRule
from modelwright_training.errors import InputError
from modelwright_training.reading.column import Column
from modelwright_training.reading.faults import ColumnError
from modelwright_training.reading.numerals import Mask

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
        if rule.min is not None:
            yield f"min: {_number(rule.min)}", there & _below(column, rule.min)
        if rule.max is not None:
            yield f"max: {_number(rule.max)}", there & _above(column, rule.max)
    elif rule.min is not None or rule.max is not None:
        yield "min/max, which only numbers can keep", there


def _numbers(column: Column) -> npt.NDArray[Any]:
    """The numbers as exactly as they are, 0 where missing."""
    return np.asarray(column.values.fill_null(0).to_numpy(zero_copy_only=False))


def _below(column: Column, bound: float) -> Mask:
    """Which numbers are less than a bound; NumPy compares int64 with integers of any size exactly."""
    numbers = _numbers(column)
    if numbers.dtype == np.int64:
        return np.asarray(numbers < (math.ceil(bound) if math.isfinite(bound) else bound))
    least = float(bound)
    return np.asarray(numbers < (least if least >= bound else math.nextafter(least, math.inf)))


def _above(column: Column, bound: float) -> Mask:
    numbers = _numbers(column)
    if numbers.dtype == np.int64:
        return np.asarray(numbers > (math.floor(bound) if math.isfinite(bound) else bound))
    most = float(bound)
    return np.asarray(numbers > (most if most <= bound else math.nextafter(most, -math.inf)))


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else str(value)


def _choices(values: list[int | float | str]) -> str:
    text = ", ".join(str(value) for value in values[:6])
    return f"values: [{text}{', …' if len(values) > 6 else ''}]"


def _among(column: Column, values: Iterable[int | float | str]) -> Mask:
    if column.kind != "numeric":
        allowed = {str(value) for value in values}
        known = np.asarray([text in allowed for text in column.values.dictionary.to_pylist()], dtype=bool)
        return np.asarray(known[column.values.indices.to_numpy()])
    numbers = [value for value in values if not isinstance(value, str)]
    if pa.types.is_integer(column.values.type):
        exact = [int(value) for value in numbers if value == int(value) and -(2**63) <= value < 2**63]
        return np.asarray(np.isin(_numbers(column), np.array(exact, dtype=np.int64)))
    allowed_floats = [float(value) for value in numbers if float(value) == value]
    return np.asarray(np.isin(_numbers(column), allowed_floats))


def _shown(column: Column, place: int) -> str:
    if column.missing[place]:
        return "a missing value"
    value = column.raw[place].as_py()
    text = _number(value) if isinstance(value, float) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def out_of_range(column: Column) -> ColumnError | None:
    """What is wrong with numbers that a float32, which models are served with, cannot hold."""
    if column.kind != "numeric":
        return None
    outside = np.abs(column.numbers()) > FLOAT32_MAX
    if not outside.any():
        return None
    row = int(np.flatnonzero(outside)[0]) + 1
    return ColumnError(
        "ValueOutOfRange",
        f"Column {column.name!r} holds {int(outside.sum())} values that are infinite or beyond ±3.4e38, "
        f"the first in row {row}",
        "Models are served in float32: clip the values, or leave the column out with data.exclude.",
    )
