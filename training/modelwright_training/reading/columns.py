"""Decides for each column whether it holds numbers or text, and gives its values as the models see them.

Numbers are float64 with NaN where missing (true and false are 1 and 0); text is empty where missing.
What the values are allowed to be is left to the rules."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from modelwright_training.documents import ColumnRule, Kind
from modelwright_training.errors import InputError
from modelwright_training.untyped import ArrowArray, ArrowType

ColumnType = Literal["integer", "number", "boolean", "string", "date", "text"]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# What stands for a missing number; in a column of text these are text.
MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none"})
FLAGS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Column:
    """A column as models see it; `unfit` marks values that are not of the type that was asked for."""

    name: str
    type: ColumnType
    values: "pd.Series[Any]"
    unfit: Mask
    raw: "pd.Series[Any]"

    @property
    def kind(self) -> Kind:
        """Whether models see numbers or text."""
        return "categorical" if self.type == "string" else "numeric"

    @property
    def missing(self) -> Mask:
        """Which values are not there."""
        gone = self.values == "" if self.type == "string" else self.values.isna() & ~self.unfit
        return np.asarray(gone, dtype=bool)

    def numbers(self) -> Floats:
        """The values of a numeric column."""
        return np.asarray(self.values, dtype=np.float64)


def asked_type(rule: ColumnRule | None) -> ColumnType | None:
    """The type that a rule asks for, in words or by its bounds and values."""
    if rule is None:
        return None
    if rule.type is not None:
        return rule.type
    if rule.min is not None or rule.max is not None:
        return "number"
    if rule.values is not None:
        return "string" if any(isinstance(value, str) for value in rule.values) else "number"
    return None


def read_column(name: str, raw: ArrowArray, asked: ColumnType | None, untyped: bool = True) -> Column:
    """Type one column of a table; text of an `untyped` table, such as a CSV, may stand for numbers."""
    if pa.types.is_dictionary(raw.type):
        raw = raw.cast(raw.type.value_type)
    if _is_text(raw.type):
        return _from_text(name, raw, asked or (None if untyped else "string"))
    if _is_number(raw.type):
        return (
            _from_text(name, raw.cast(pa.string()), asked)
            if asked == "string"
            else _from_numbers(name, raw, asked)
        )
    raise InputError(
        "ColumnUnsupported",
        f"Column {name!r} is of type {raw.type}; columns have to be numbers, true/false or text. "
        "Leave it out with data.features or turn it into one of these.",
    )


def _is_text(kind: ArrowType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: ArrowType) -> bool:
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
        pa.types.is_null,
    )
    return any(test(kind) for test in tests)


def _from_text(name: str, raw: ArrowArray, asked: ColumnType | None) -> Column:
    text = pd.Series(pyarrow.compute.fill_null(raw, "").to_numpy(zero_copy_only=False), dtype=object)
    if asked == "string":
        return _text_column(name, text)
    numbers = pd.to_numeric(text, errors="coerce").astype(np.float64)
    odd = text[numbers.isna()]
    words = {value: value.strip().lower() for value in pd.unique(odd)}
    flags = {value: FLAGS[word] for value, word in words.items() if word in FLAGS}
    other = [value for value, word in words.items() if word not in FLAGS and word not in MISSING]
    if asked is None and (other or (flags and numbers.notna().any())):
        return _text_column(name, text)
    if asked == "boolean" or (asked is None and flags):
        values = numbers.where(numbers.notna(), odd.map(flags).astype(np.float64))
        return _checked(name, "boolean", values, np.asarray(text.isin(other), dtype=bool), text)
    unfit = np.asarray(text.isin([*other, *flags]), dtype=bool)
    return _checked(name, asked or "number", numbers, unfit, text)


def _text_column(name: str, text: "pd.Series[Any]") -> Column:
    return Column(name, "string", text, np.zeros(len(text), dtype=bool), text)


def _from_numbers(name: str, raw: ArrowArray, asked: ColumnType | None) -> Column:
    values = pd.Series(raw.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    kind: ColumnType = asked or ("boolean" if pa.types.is_boolean(raw.type) else "number")
    return _checked(name, kind, values, np.zeros(len(values), dtype=bool), values)


def _checked(
    name: str, kind: ColumnType, values: "pd.Series[Any]", unfit: Mask, raw: "pd.Series[Any]"
) -> Column:
    """Mark what is not whole or not 0/1 where that was asked for; call a column of whole numbers integer."""
    numbers = np.asarray(values, dtype=np.float64)
    there = ~np.isnan(numbers)
    broken = there & ~(np.isfinite(numbers) & (np.floor(numbers) == numbers))
    if kind == "integer":
        unfit = unfit | broken
    elif kind == "boolean":
        unfit = unfit | (there & (numbers != 0) & (numbers != 1))
    elif there.any() and not broken.any() and not unfit.any():
        kind = "integer"
    return Column(name, kind, values, unfit, raw)
