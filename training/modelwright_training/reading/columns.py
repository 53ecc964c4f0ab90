"""Decides for each column whether it holds numbers, flags, dates or text, and gives its values as exactly as they are.

What the values are allowed to be is left to the rules; which columns are learnt from, to `preparing`."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from modelwright_training.documents import ColumnRule
from modelwright_training.features.dates import FORMATS
from modelwright_training.reading import dates, numerals
from modelwright_training.reading.cells import Cells, encode, mixed, short
from modelwright_training.reading.column import (
    ALMOST,
    FEW_WORDS,
    FLAGS,
    KINDS,
    MISSING,
    MOSTLY,
    Column,
    ColumnType,
    is_text,
)
from modelwright_training.reading.dated import ambiguous_dates, as_dates, dictionary_without, recognised
from modelwright_training.reading.faults import ColumnError, raise_all
from modelwright_training.reading.marks import decide, decimal_mark
from modelwright_training.reading.numbers import (
    boolean_column,
    from_numbers,
    in_convention,
    is_number,
    number_column,
    plain_numbers,
)
from modelwright_training.untyped import ArrowArray, ArrowTable


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


def read_columns(
    table: ArrowTable,
    names: Iterable[str],
    rules: Mapping[str, ColumnRule],
    untyped: bool = True,
    delimiter: str | None = None,
    labels: Collection[str] = (),
) -> dict[str, Column]:
    """Type columns of a table; texts of an `untyped` table, such as a CSV, may stand for numbers.

    Texts are looked at for dates and natural text, but not those of `labels`. Refuses all columns at once that are of
    no usable type, or of numbers or dates with mistakes in them. Where the texts of a column are numbers with decimal
    points and with decimal commas as well ("1,234"), the other columns decide."""
    read: dict[str, Column] = {}
    errors: list[ColumnError] = []
    for name in names:
        rule = rules.get(name)
        try:
            column = read_column(name, table[name], asked_type(rule), untyped)
            if column.type == "string" and asked_type(rule) is None and name not in labels:
                column = recognised(column, untyped)
            read[name] = replace(column, asked=rule.type if rule else None)
        except ColumnError as error:
            errors.append(error)
    mark, why = decimal_mark(read.values(), delimiter)
    for name, column in read.items():
        try:
            read[name] = decide(column, mark, why, delimiter)
        except ColumnError as error:
            errors.append(error)
    raise_all(errors)
    return read


def read_column(name: str, raw: ArrowArray, asked: ColumnType | None, untyped: bool = True) -> Column:
    """Type one column by its own values; `also` says what else they may mean."""
    if pa.types.is_dictionary(raw.type):
        raw = raw.cast(raw.type.value_type)
    if is_text(raw.type):
        return _from_text(name, raw.cast(pa.string()), asked, untyped)
    if written := dates.recognise_type(raw.type):
        texts, unfit = dates.values(raw, written)
        column = Column(name, "date", encode(texts), unfit, raw, format=written)
        return (
            column if asked in (None, "date") else _from_text(name, texts.cast(pa.string()), asked, untyped)
        )
    if not is_number(raw.type):
        raise ColumnError(
            "ColumnUnsupported",
            f"Column {name!r} is of type {raw.type}",
            "Columns have to be numbers, true/false, dates or text: leave others out with data.exclude, or turn them "
            "into one of these.",
        )
    if asked in KINDS:
        return _text_column(name, raw.cast(pa.string()), asked)
    return from_numbers(name, raw, asked)


def _from_text(name: str, raw: ArrowArray, asked: ColumnType | None, untyped: bool) -> Column:
    if asked in KINDS:
        return _text_column(name, raw, asked)
    if (untyped or asked) and asked != "boolean" and (plain := plain_numbers(raw)) is not None:
        values, exact = plain
        return number_column(name, asked or "number", values, raw, exact=exact)
    cells = Cells.of(raw)
    there = ~cells.among(MISSING)
    flags, numeric = cells.among(list(FLAGS)), numerals.numeric(cells.normal) & there
    if asked is None:
        share = cells.share(numeric, there)
        odd = there & ~numeric
        if untyped and MOSTLY < share < ALMOST and odd.sum() <= FEW_WORDS:
            raise mixed(name, cells, odd)
        if not untyped or (share < ALMOST and not flags[there].all()):
            return replace(_text_column(name, raw, encoded=cells.encoded), numeric=share)
        asked = "boolean" if flags[there].all() else None
    if asked == "boolean":
        return boolean_column(name, raw, cells, there)
    readings = numerals.readings(cells.normal.filter(pa.array(numeric)))
    meanings = readings.meanings()
    best = meanings[0] if meanings else readings.best(cells.counts[numeric])
    column, odd = in_convention(name, raw, asked, cells, best)
    if asked is None and odd.any():
        raise mixed(name, cells, odd)
    return replace(column, also=meanings[1] if len(meanings) > 1 else None)


def _text_column(
    name: str, raw: ArrowArray, asked: ColumnType | None = None, encoded: ArrowArray = None
) -> Column:
    values = encode(raw) if encoded is None else encoded
    column = Column(name, asked or "string", values, np.zeros(len(raw), dtype=bool), raw)
    if asked != "date":
        return column
    texts = dictionary_without(column, MISSING)
    written = dates.recognise(texts, asked=True)
    if written == dates.AMBIGUOUS:
        raise ambiguous_dates(column, texts)
    if written is None:
        some = f" such as {short(texts[0].as_py())}" if len(texts) else ""
        raise ColumnError(
            "SchemaViolation",
            f"Column {name!r} is to hold dates (data.schema), but its texts{some} are in no known format",
            f"Known are {', '.join(FORMATS)}.",
        )
    return as_dates(column, written)
