"""Columns of numbers and flags: from the numbers of a file, or from texts in one notation."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.reading import numerals
from modelwright_training.reading.cells import Cells, mask
from modelwright_training.reading.column import FLAGS, MISSING, Column, ColumnType
from modelwright_training.reading.numerals import PLAIN, Convention, Mask
from modelwright_training.untyped import ArrowArray, ArrowType


def is_number(kind: ArrowType) -> bool:
    """Whether an Arrow type is one of numbers or flags."""
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
        pa.types.is_null,
    )
    return any(test(kind) for test in tests)


def from_numbers(name: str, raw: ArrowArray, asked: ColumnType | None) -> Column:
    """A column of numbers as the file holds them."""
    kind: ColumnType = asked or ("boolean" if pa.types.is_boolean(raw.type) else "number")
    exact = True
    if pa.types.is_integer(raw.type) or pa.types.is_decimal(raw.type):
        try:
            values = raw.cast(pa.int64())
        except pa.ArrowInvalid:  # beyond int64, or broken
            values = raw.cast(pa.float64(), safe=False)
            exact = not pa.types.is_integer(raw.type)
    else:
        values = raw.cast(pa.float64())
    return number_column(name, kind, values, raw, exact=exact)


def plain_numbers(raw: ArrowArray) -> tuple[ArrowArray, bool] | None:
    """The quick way for what most columns are: numbers as JSON writes them, and missing ones."""
    try:
        values, exact = numerals.exact(raw)
    except pa.ArrowInvalid:
        texts = pc.utf8_trim_whitespace(raw)
        missing = pc.fill_null(pc.is_in(pc.utf8_lower(texts), pa.array(MISSING)), True)
        try:
            values, exact = numerals.exact(pc.if_else(missing, None, texts))
        except pa.ArrowInvalid:
            return None
    # Arrow reads hexadecimal numbers, but only where they are whole.
    hexadecimal = pa.types.is_integer(values.type) and pc.any(pc.match_substring_regex(raw, "[xX]")).as_py()
    return None if hexadecimal else (values, exact)


def in_convention(
    name: str, raw: ArrowArray, asked: ColumnType | None, cells: Cells, convention: Convention
) -> tuple[Column, Mask]:
    """The column read in a convention, and which texts it does not fit."""
    values, exact = numerals.values(cells.normal, convention)
    odd = mask(values.is_null()) & ~cells.among(MISSING)
    column = number_column(
        name, asked or "number", cells.spread(values), raw, odd[cells.places], convention, exact
    )
    return column, odd


def boolean_column(name: str, raw: ArrowArray, cells: Cells, there: Mask) -> Column:
    """A column of flags, from texts."""
    values = numerals.values(cells.normal, PLAIN)[0].cast(pa.float64(), safe=False)
    words = pc.utf8_lower(cells.normal)
    for word, value in FLAGS.items():
        values = pc.if_else(pc.equal(words, word), value, values)
    odd = mask(values.is_null()) & there
    return number_column(name, "boolean", cells.spread(values), raw, odd[cells.places])


def number_column(
    name: str,
    kind: ColumnType,
    values: ArrowArray,
    raw: ArrowArray,
    unfit: Mask | None = None,
    convention: Convention = PLAIN,
    exact: bool = True,
) -> Column:
    """Mark what is not whole or not 0/1 where that was asked for; call a column of whole numbers integer."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    unfit = np.zeros(len(values), dtype=bool) if unfit is None else unfit
    there = ~mask(values.is_null())
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    broken = there & ~(np.isfinite(numbers) & (np.floor(numbers) == numbers))
    if kind == "integer":
        unfit = unfit | broken
    elif kind == "boolean":
        unfit = unfit | (there & (numbers != 0) & (numbers != 1))
    elif there.any() and not broken.any() and not unfit.any():
        kind = "integer"
    return Column(name, kind, values, unfit, raw, convention=convention, exact=exact)
