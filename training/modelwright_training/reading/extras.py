"""Reads the columns that gates need and nothing is learnt from: numbers and texts as the file holds them.

They need not be fit to be a feature: values may all differ, be missing, or be dates, which are texts here."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.documents import ColumnRule
from modelwright_training.reading import rules as schema
from modelwright_training.reading.column import LEADING_ZERO, is_text
from modelwright_training.reading.columns import read_columns
from modelwright_training.reading.faults import ColumnError, raise_all
from modelwright_training.reading.numbers import from_numbers, is_number, plain_numbers
from modelwright_training.reading.sources import Source
from modelwright_training.untyped import ArrowArray

WHERE = "data.holdout.extraColumns"


def read(source: Source, names: Sequence[str], rules: Mapping[str, ColumnRule]) -> dict[str, ArrowArray]:
    """Each column as int64, float64 or string, null where there is no value.

    A column that data.schema has a rule for is read as the rule says, and has to keep it. Raises InputError for a
    column that holds neither numbers nor texts (lists, bytes), all at once."""
    ruled = {name: rules[name] for name in names if name in rules}
    typed = read_columns(source.table, ruled, ruled, source.format == "csv", source.delimiter)
    schema.check(typed, ruled)
    found, errors = {}, []
    for name in names:
        try:
            found[name] = (
                _without_blanks(typed[name].stored())
                if name in typed
                else _as_it_is(name, source.table[name], source.format == "csv")
            )
        except ColumnError as error:
            errors.append(error)
    raise_all(errors)
    return found


def behind(rows: int, column: ArrowArray) -> ArrowArray:
    """The values after so many rows without one."""
    return pa.concat_arrays([pa.nulls(rows, column.type), column])


def _as_it_is(name: str, raw: ArrowArray, untyped: bool) -> ArrowArray:
    if pa.types.is_dictionary(raw.type):
        raw = raw.cast(raw.type.value_type)
    kind = raw.type
    if is_text(kind):
        return _of_texts(raw.cast(pa.string()), untyped)
    if is_number(kind) and not pa.types.is_boolean(kind) and not pa.types.is_null(kind):
        return from_numbers(name, raw, None).values
    if pa.types.is_boolean(kind) or pa.types.is_null(kind) or pa.types.is_temporal(kind):
        return _combined(raw.cast(pa.string()))
    raise ColumnError(
        "ColumnUnsupported",
        f"Column {name!r} ({WHERE}) is of type {kind}",
        "It has to hold numbers, true/false, dates or text.",
    )


def _of_texts(raw: ArrowArray, untyped: bool) -> ArrowArray:
    """The texts of a column; of a CSV, where they are all numbers as JSON writes them, the numbers."""
    if untyped and not pc.any(pc.match_substring_regex(raw, LEADING_ZERO)).as_py():
        numbers = plain_numbers(raw)
        if numbers is not None and numbers[0].null_count < len(raw):
            return from_numbers("", numbers[0], None).values
    return _without_blanks(raw)


def _without_blanks(values: ArrowArray) -> ArrowArray:
    """Texts without blanks around them, null where nothing is left; numbers as they are."""
    values = _combined(values)
    if not pa.types.is_string(values.type):
        return values
    texts = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _combined(values: ArrowArray) -> ArrowArray:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
