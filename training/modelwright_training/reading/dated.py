"""Columns of texts that are dates or natural text; dates that can be read in two ways, or in none, are refused."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.features.dates import FORMATS
from modelwright_training.reading import dates, text
from modelwright_training.reading.cells import Cells, mixed, short
from modelwright_training.reading.column import MISSING, Column
from modelwright_training.reading.faults import ColumnError
from modelwright_training.untyped import ArrowArray


def recognised(column: Column, untyped: bool) -> Column:
    """A column of text as one of dates or of natural text, if it is."""
    texts = dictionary_without(column, MISSING if untyped else [""])
    if not len(texts):
        return column
    # A few dates in many rows, and a few mistakes: their share is of the rows.
    written = dates.recognise(texts) or dates.recognise(_rows_of(column, texts))
    if written == dates.AMBIGUOUS:
        raise ambiguous_dates(column, texts)
    if written is not None:
        dated = as_dates(column, written)
        if dated.unfit.any():
            cells = Cells.of(column.raw)
            odd = np.zeros(len(cells.texts), dtype=bool)
            odd[cells.places[dated.unfit]] = True
            raise mixed(column.name, cells, odd, f"dates ({written})")
        return dated
    if dates.resemble(texts):
        raise _unknown_dates(column, texts)
    natural = text.is_natural(texts, int(column.texts[1].sum()))
    return replace(column, type="text") if natural else column


def dictionary_without(column: Column, words: Collection[str]) -> ArrowArray:
    """The different texts but some words, stripped."""
    texts = pc.utf8_trim_whitespace(column.values.dictionary)
    return texts.filter(pc.invert(pc.is_in(pc.utf8_lower(texts), pa.array(words))))


def _rows_of(column: Column, texts: ArrowArray) -> ArrowArray:
    """The rows that hold some of the different texts, stripped."""
    stripped = pc.utf8_trim_whitespace(column.values.dictionary)
    return stripped.take(column.values.indices.filter(pc.is_in(stripped, texts).take(column.values.indices)))


def as_dates(column: Column, written: str) -> Column:
    """The column as one of dates in a format; words that stand for a missing number are missing here, too."""
    stripped = pc.utf8_trim_whitespace(column.values.dictionary)
    missing = pc.is_in(pc.utf8_lower(stripped), pa.array(MISSING))
    texts, unfit = dates.values(pc.if_else(missing, "", stripped), written)
    places = column.values.indices
    again = pc.dictionary_encode(texts)  # the same date may have had blanks
    values = pa.DictionaryArray.from_arrays(again.indices.take(places), again.dictionary)
    return replace(
        column, type="date", values=values, unfit=unfit[places.to_numpy()], format=written, numeric=0.0
    )


def ambiguous_dates(column: Column, texts: ArrowArray) -> ColumnError:
    """The refusal of dates whose day and month may be either."""
    return ColumnError(
        "AmbiguousColumn",
        f"Column {column.name!r} holds dates such as {short(texts[0].as_py())}; the day or the month may be first",
        "Write them as YYYY-MM-DD, leave the column out with data.exclude, or make it a category: data.schema "
        "{NAME: {type: string}}.",
    )


def _unknown_dates(column: Column, texts: ArrowArray) -> ColumnError:
    return ColumnError(
        "AmbiguousColumn",
        f"Column {column.name!r} looks like dates such as {short(texts[0].as_py())}, but not all in one known format",
        f"Known are {', '.join(FORMATS)}. Write them in one of these, leave the column out with data.exclude, or "
        "make it a category: data.schema {NAME: {type: string}}.",
    )
