"""Makes features of columns: how each is stored, and what a model has to know of it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.documents import Feature
from modelwright_training.reading import dates, names, precision, text
from modelwright_training.reading.column import Column
from modelwright_training.reading.faults import ColumnError, raise_all
from modelwright_training.reading.identifiers import frequent
from modelwright_training.reading.precision import Precision
from modelwright_training.untyped import ArrowArray

TOO_WIDE = (
    "Fill or remove missing values, leave the column out with data.exclude, or make it a category: "
    "data.schema {NAME: {type: string}}."
)


@dataclass(frozen=True)
class Featured:
    """A feature with the column that it is made from and the values to store: float64, int64 or texts."""

    feature: Feature
    column: Column
    values: ArrowArray
    precision: Precision | None = None


def featured(columns: Iterable[Column]) -> list[Featured]:
    """Make features of columns; refuses all at once of which a model cannot see the values."""
    made, errors = [], []
    for column in columns:
        try:
            made.append(_numeric(column) if column.kind == "numeric" else _texts(column))
        except ColumnError as error:
            errors.append(error)
    raise_all(errors)
    return made


def _numeric(column: Column) -> Featured:
    """The feature of numbers: int64 where float64 would round whole numbers, else float64."""
    measured = precision.measure(column.present())
    values = column.values
    if measured and measured.datatype == "INT64" and not values.null_count:
        feature = Feature(name=column.name, kind="numeric", datatype="INT64", offset=measured.offset)
        return Featured(feature, column, values, measured)
    floats = pc.cast(values, pa.float64(), safe=False)
    different = _different(column)
    if different is not None:
        kept = len(np.unique(floats.drop_null().to_numpy(zero_copy_only=False)))
        if kept < different:
            what = (
                "missing values and whole numbers beyond 2^53"
                if column.exact
                else "whole numbers beyond int64"
            )
            raise ColumnError(
                "ValueOutOfRange",
                f"Column {column.name!r} holds {what}, of which float64 tells {kept} of {different} apart",
                TOO_WIDE,
            )
        measured = precision.measure(floats.drop_null().to_numpy(zero_copy_only=False))
    datatype, offset = (measured.datatype, measured.offset) if measured else (None, None)
    feature = Feature(name=column.name, kind="numeric", datatype=datatype, offset=offset)
    return Featured(feature, column, floats, measured)


def _different(column: Column) -> int | None:
    """How many different whole numbers a column has that float64 may merge; None if it does not."""
    if not column.exact:
        return len(
            pc.unique(pc.drop_null(column.raw if column.raw.type != pa.string() else column.written()))
        )
    if not pa.types.is_integer(column.values.type):
        return None
    numbers = column.present()
    large = len(numbers) and max(-int(numbers.min()), int(numbers.max())) > precision.EXACT_FLOAT64
    return len(np.unique(numbers)) if large else None


def _texts(column: Column) -> Featured:
    kept = None
    if column.kind == "categorical":
        texts, _ = column.texts
        longest = texts.filter(pc.greater(pc.utf8_length(texts), names.LENGTH))
        if len(longest):
            raise ColumnError(
                "NameUnsuitable",
                f"Column {column.name!r} has {len(longest)} categories of more than {names.LENGTH} characters such as "
                f"{names.shown(longest[0].as_py())}",
                "Leave the column out with data.exclude, or learn from its words: data.schema {NAME: {type: text}}.",
            )
        kept = frequent(column)
    values = column.stored()
    if column.kind == "text":
        text.check(column.name, values)
    offset = dates.offset(column.texts[0], column.format) if column.format else None
    feature = Feature(
        name=column.name, kind=column.kind, categories=kept, format=column.format, offset=offset
    )
    return Featured(feature, column, values)
