"""Joins a hold-out of the user's own to the data: same columns, read as the data's are."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.documents import ColumnRule
from modelwright_training.errors import InputError, listing, row_listing, suggestion
from modelwright_training.reading import dates, targets
from modelwright_training.reading import extras as extra_columns
from modelwright_training.reading import rules as schema
from modelwright_training.reading.column import Column
from modelwright_training.reading.columns import read_columns
from modelwright_training.reading.faults import ColumnError, raise_all
from modelwright_training.reading.sources import Source
from modelwright_training.untyped import ArrowArray

WHERE = "data.holdout.uri"
REMEDY = "The hold-out has to be like the data: mend it there."


def joined(
    columns: Mapping[str, Column],
    features: list[str],
    target: str,
    own: Source,
    rules: Mapping[str, ColumnRule],
    extra: Sequence[str] = (),
) -> tuple[dict[str, Column], dict[str, ArrowArray]]:
    """The columns of the data, with the rows of the hold-out behind them in the features and the target; and of the
    hold-out the `extra` columns, which the data need not have.

    The data decides what type a column is of; a hold-out that does not fit is refused, all columns at once."""
    names = [*features, target]
    _check_present(own, names, extra)
    asked = {name: _rule(columns[name], rules.get(name)) for name in names}
    with _of_the_holdout():
        read = read_columns(own.table, names, asked, own.format == "csv", own.delimiter)
        read = {name: _dated(columns[name], column) for name, column in read.items()}
        raise_all(fault for name in names for fault in _faults(columns[name], read[name]))
        schema.check(read, {name: rule for name, rule in rules.items() if name in read})
        targets.check_complete(read[target])
        extras = extra_columns.read(own, extra, rules)
    rows = len(columns[target].values)
    return (
        {**columns, **{name: _behind(columns[name], read[name]) for name in names}},
        {name: extra_columns.behind(rows, values) for name, values in extras.items()},
    )


def unused(own: Source, source: Source, extra: Sequence[str]) -> list[str]:
    """A note on columns that only the hold-out has, and that no gate needs."""
    known = {*source.table.column_names, *extra}
    found = [name for name in own.table.column_names if name not in known]
    return [f"not used, since only the hold-out has them: {listing(found, 5)}"] if found else []


def _check_present(own: Source, names: Sequence[str], extra: Sequence[str]) -> None:
    """Refuse a hold-out that lacks columns."""
    present = own.table.column_names
    lacks = {
        "columns of the data": [name for name in names if name not in present],
        f"columns of {extra_columns.WHERE}": [name for name in extra if name not in present],
    }
    if any(lacks.values()):
        what = " and ".join(f"{which}: {listing(absent)}" for which, absent in lacks.items() if absent)
        hints = "".join(suggestion(name, present) for absent in lacks.values() for name in absent[:3])
        raise InputError(
            "HoldoutUnsuitable", f"{WHERE} lacks {what}.{hints} Its columns are {listing(present)}."
        )


def _rule(column: Column, rule: ColumnRule | None) -> ColumnRule:
    """The type that the data has, and what the user allows. Dates are read as text first: the data has their format."""
    kind = "number" if column.type == "integer" and column.asked != "integer" else column.type
    return (rule or ColumnRule()).model_copy(update={"type": "string" if kind == "date" else kind})


def _dated(column: Column, own: Column) -> Column:
    if column.type != "date":
        return own
    texts, unfit = dates.values(own.stored(), str(column.format))
    return replace(own, type="date", values=texts.dictionary_encode(), unfit=unfit, format=column.format)


@contextmanager
def _of_the_holdout() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(error.reason, f"{WHERE}: {error.message}") from error


def _faults(column: Column, own: Column) -> Iterator[ColumnError]:
    if own.unfit.any():
        first = own.written()[int(np.flatnonzero(own.unfit)[0])].as_py()
        yield ColumnError(
            "HoldoutUnsuitable",
            f"Column {column.name!r} is of type {column.type}{f' ({column.format})' if column.format else ''} in the "
            f"data, but {int(own.unfit.sum())} values are not: "
            f"{row_listing(own.unfit)}, such as {first!r:.60}",
            REMEDY,
        )
    elif column.convention != own.convention and not any(_is_plain_and_whole(each) for each in (column, own)):
        yield ColumnError(
            "HoldoutUnsuitable",
            f"Column {column.name!r} is written with {_words(column)} in the data, but with {_words(own)}",
            REMEDY,
        )


def _is_plain_and_whole(column: Column) -> bool:
    """Whether the numbers are written so that they read the same in any convention."""
    return column.convention.plain and column.type == "integer"


def _words(column: Column) -> str:
    return column.convention.words() or "decimal points"


def _behind(column: Column, own: Column) -> Column:
    same = column.raw.type == own.raw.type
    return replace(
        column,
        values=_concatenated(column.values, own.values),
        unfit=np.concatenate([column.unfit, own.unfit]),
        raw=_concatenated(column.raw, own.raw) if same else _concatenated(column.written(), own.written()),
        exact=column.exact and own.exact,
    )


def _concatenated(first: ArrowArray, second: ArrowArray) -> ArrowArray:
    if first.type != second.type and not pa.types.is_dictionary(first.type):  # whole numbers and others
        first, second = (pc.cast(values, pa.float64(), safe=False) for values in (first, second))
    parts = (part.chunks if isinstance(part, pa.ChunkedArray) else [part] for part in (first, second))
    return pa.chunked_array([chunk for part in parts for chunk in part]).unify_dictionaries().combine_chunks()
