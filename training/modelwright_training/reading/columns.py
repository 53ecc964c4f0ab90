"""Decides for each column whether it holds numbers, flags, dates or text, and gives its values as exactly as they are.

What the values are allowed to be is left to the rules; which columns are learnt from, to `preparing`."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.documents import ColumnRule, Kind
from modelwright_training.features.dates import FORMATS
from modelwright_training.reading import dates, numerals, text
from modelwright_training.reading.faults import ColumnError, raise_all
from modelwright_training.reading.numerals import PLAIN, Convention, Decimal, Mask
from modelwright_training.untyped import ArrowArray, ArrowTable, ArrowType

ColumnType = Literal["integer", "number", "boolean", "string", "date", "text"]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# What stands for a missing number; in a column of text these are text.
MISSING = ["", "na", "n/a", "#n/a", "nan", "null", "none"]
LEADING_ZERO = r"^\s*[+-]?0[0-9]"
FLAGS = {"true": 1.0, "false": 0.0}
KINDS: dict[ColumnType, Kind] = {"string": "categorical", "date": "date", "text": "text"}

# A column whose cells are numbers from this share on, but not all of them, is one of numbers with mistakes in it.
ALMOST = 0.95
SHOWN = 5


@dataclass(frozen=True)
class Column:
    """A column of the data.

    values: int64 or float64 with nulls where missing; or texts, dictionary-encoded and "" where missing.
    unfit: which values are not of the type that was asked for. raw: the values as the file holds them.
    asked: the type that the user has named. convention: how the numbers are written; also: the other convention that
    fits, until it is decided; decided: by what. exact: False where whole numbers beyond int64 were rounded to float64.
    numeric: the share of the texts that are numbers. format: how the dates are written."""

    name: str
    type: ColumnType
    values: ArrowArray
    unfit: Mask
    raw: ArrowArray
    asked: ColumnType | None = None
    convention: Convention = PLAIN
    also: Convention | None = None
    decided: str = ""
    exact: bool = True
    numeric: float = 0.0
    format: str | None = None

    @property
    def kind(self) -> Kind:
        """What models see of it."""
        return KINDS.get(self.type, "numeric")

    @cached_property
    def missing(self) -> Mask:
        """Which values are not there."""
        if self.kind == "numeric":
            return _mask(self.values.is_null()) & ~self.unfit
        return np.asarray(self.values.indices.to_numpy() == pc.index(self.values.dictionary, "").as_py())

    def numbers(self) -> Floats:
        """The values of a numeric column in float64, NaN where missing."""
        floats = pc.cast(self.values, pa.float64(), safe=False)
        return np.asarray(floats.to_numpy(zero_copy_only=False), dtype=np.float64)

    def present(self) -> npt.NDArray[Any]:
        """The numbers that are there: int64 or float64."""
        return np.asarray(self.values.drop_null().to_numpy(zero_copy_only=False))

    @cached_property
    def texts(self) -> tuple[ArrowArray, Counts]:
        """The distinct texts but the missing one, and how many rows hold each."""
        counts = np.bincount(self.values.indices.to_numpy(), minlength=len(self.values.dictionary))
        there = _mask(pc.not_equal(self.values.dictionary, ""))
        return self.values.dictionary.filter(pa.array(there)), counts[there]

    def stored(self) -> ArrowArray:
        """The values as they are stored: float64, int64 or string."""
        return self.values if self.kind == "numeric" else self.values.cast(pa.string())

    def written(self) -> ArrowArray:
        """The values as texts, as the file has them, without blanks around them."""
        text = self.raw if is_text(self.raw.type) else self.raw.cast(pa.string())
        return pc.utf8_trim_whitespace(pc.fill_null(text, ""))


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
                column = _recognised(column, untyped)
            read[name] = replace(column, asked=rule.type if rule else None)
        except ColumnError as error:
            errors.append(error)
    mark, why = _decimal_mark(read.values(), delimiter)
    for name, column in read.items():
        try:
            read[name] = _decide(column, mark, why, delimiter)
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
        column = Column(name, "date", _encoded(texts), unfit, raw, format=written)
        return (
            column if asked in (None, "date") else _from_text(name, texts.cast(pa.string()), asked, untyped)
        )
    if not _is_number(raw.type):
        raise ColumnError(
            "ColumnUnsupported",
            f"Column {name!r} is of type {raw.type}",
            "Columns have to be numbers, true/false, dates or text: leave others out with data.exclude, or turn them "
            "into one of these.",
        )
    return _from_numbers(name, raw, asked)


def is_text(kind: ArrowType) -> bool:
    """Whether an Arrow type is one of texts."""
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


def _from_numbers(name: str, raw: ArrowArray, asked: ColumnType | None) -> Column:
    if asked in KINDS:
        return _text_column(name, raw.cast(pa.string()), asked)
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
    return _number_column(name, kind, values, raw, exact=exact)


@dataclass(frozen=True)
class _Cells:
    """The distinct texts of a column, as they are and normal; `places` says which of them each row holds."""

    encoded: ArrowArray
    normal: ArrowArray
    places: npt.NDArray[np.int32]
    counts: Counts

    @classmethod
    def of(cls, raw: ArrowArray) -> "_Cells":
        encoded = _encoded(raw)
        places = encoded.indices.to_numpy()
        counts = np.bincount(places, minlength=len(encoded.dictionary))
        return cls(encoded, numerals.normal(encoded.dictionary), places, counts)

    @property
    def texts(self) -> ArrowArray:
        """The texts as they are."""
        return self.encoded.dictionary

    def among(self, words: Collection[str]) -> Mask:
        """Which texts are one of some words, in small or capital letters."""
        return _mask(pc.is_in(pc.utf8_lower(self.normal), pa.array(words)))

    def share(self, some: Mask, there: Mask) -> float:
        """The share of some texts among the rows that hold one."""
        return float(self.counts[some & there].sum() / max(1, self.counts[there].sum()))

    def spread(self, by_text: ArrowArray) -> ArrowArray:
        """A value for each row, from one for each text."""
        return by_text.take(pa.array(self.places))


def _from_text(name: str, raw: ArrowArray, asked: ColumnType | None, untyped: bool) -> Column:
    if asked in KINDS:
        return _text_column(name, raw, asked)
    if (untyped or asked) and asked != "boolean" and (plain := _plain(raw)) is not None:
        values, exact = plain
        return _number_column(name, asked or "number", values, raw, exact=exact)
    cells = _Cells.of(raw)
    there = ~cells.among(MISSING)
    flags, numeric = cells.among(list(FLAGS)), numerals.numeric(cells.normal) & there
    if asked is None:
        share = cells.share(numeric, there)
        if not untyped or (share < ALMOST and not flags[there].all()):
            return replace(_text_column(name, raw, encoded=cells.encoded), numeric=share)
        asked = "boolean" if flags[there].all() else None
    if asked == "boolean":
        return _boolean_column(name, raw, cells, there)
    readings = numerals.readings(cells.normal.filter(pa.array(numeric)))
    meanings = readings.meanings()
    best = meanings[0] if meanings else readings.best(cells.counts[numeric])
    column, odd = _in_convention(name, raw, asked, cells, best)
    if asked is None and odd.any():
        raise _mixed(name, cells, odd)
    return replace(column, also=meanings[1] if len(meanings) > 1 else None)


def _plain(raw: ArrowArray) -> tuple[ArrowArray, bool] | None:
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


def _in_convention(
    name: str, raw: ArrowArray, asked: ColumnType | None, cells: _Cells, convention: Convention
) -> tuple[Column, Mask]:
    """The column read in a convention, and which texts it does not fit."""
    values, exact = numerals.values(cells.normal, convention)
    odd = _mask(values.is_null()) & ~cells.among(MISSING)
    column = _number_column(
        name, asked or "number", cells.spread(values), raw, odd[cells.places], convention, exact
    )
    return column, odd


def _boolean_column(name: str, raw: ArrowArray, cells: _Cells, there: Mask) -> Column:
    values = numerals.values(cells.normal, PLAIN)[0].cast(pa.float64(), safe=False)
    words = pc.utf8_lower(cells.normal)
    for word, value in FLAGS.items():
        values = pc.if_else(pc.equal(words, word), value, values)
    odd = _mask(values.is_null()) & there
    return _number_column(name, "boolean", cells.spread(values), raw, odd[cells.places])


def _number_column(
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
    there = ~_mask(values.is_null())
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    broken = there & ~(np.isfinite(numbers) & (np.floor(numbers) == numbers))
    if kind == "integer":
        unfit = unfit | broken
    elif kind == "boolean":
        unfit = unfit | (there & (numbers != 0) & (numbers != 1))
    elif there.any() and not broken.any() and not unfit.any():
        kind = "integer"
    return Column(name, kind, values, unfit, raw, convention=convention, exact=exact)


def _text_column(
    name: str, raw: ArrowArray, asked: ColumnType | None = None, encoded: ArrowArray = None
) -> Column:
    values = _encoded(raw) if encoded is None else encoded
    column = Column(name, asked or "string", values, np.zeros(len(raw), dtype=bool), raw)
    if asked != "date":
        return column
    texts = _dictionary_without(column, MISSING)
    written = dates.recognise(texts, asked=True)
    if written == dates.AMBIGUOUS:
        raise _ambiguous_dates(column, texts)
    if written is None:
        some = f" such as {_short(texts[0].as_py())}" if len(texts) else ""
        raise ColumnError(
            "SchemaViolation",
            f"Column {name!r} is to hold dates (data.schema), but its texts{some} are in no known format",
            f"Known are {', '.join(FORMATS)}.",
        )
    return _dated(column, written)


def _recognised(column: Column, untyped: bool) -> Column:
    """A column of text as one of dates or of natural text, if it is."""
    texts = _dictionary_without(column, MISSING if untyped else [""])
    if not len(texts):
        return column
    # A few dates in many rows, and a few mistakes: their share is of the rows.
    written = dates.recognise(texts) or dates.recognise(_rows_of(column, texts))
    if written == dates.AMBIGUOUS:
        raise _ambiguous_dates(column, texts)
    if written is not None:
        dated = _dated(column, written)
        if dated.unfit.any():
            cells = _Cells.of(column.raw)
            odd = np.zeros(len(cells.texts), dtype=bool)
            odd[cells.places[dated.unfit]] = True
            raise _mixed(column.name, cells, odd, f"dates ({written})")
        return dated
    if dates.resemble(texts):
        raise _unknown_dates(column, texts)
    natural = text.is_natural(texts, int(column.texts[1].sum()))
    return replace(column, type="text") if natural else column


def _dictionary_without(column: Column, words: Collection[str]) -> ArrowArray:
    """The different texts but some words, stripped."""
    texts = pc.utf8_trim_whitespace(column.values.dictionary)
    return texts.filter(pc.invert(pc.is_in(pc.utf8_lower(texts), pa.array(words))))


def _rows_of(column: Column, texts: ArrowArray) -> ArrowArray:
    """The rows that hold some of the different texts, stripped."""
    stripped = pc.utf8_trim_whitespace(column.values.dictionary)
    return stripped.take(column.values.indices.filter(pc.is_in(stripped, texts).take(column.values.indices)))


def _dated(column: Column, written: str) -> Column:
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


def _ambiguous_dates(column: Column, texts: ArrowArray) -> ColumnError:
    return ColumnError(
        "AmbiguousColumn",
        f"Column {column.name!r} holds dates such as {_short(texts[0].as_py())}; the day or the month may be first",
        "Write them as YYYY-MM-DD, leave the column out with data.exclude, or make it a category: data.schema "
        "{NAME: {type: string}}.",
    )


def _unknown_dates(column: Column, texts: ArrowArray) -> ColumnError:
    return ColumnError(
        "AmbiguousColumn",
        f"Column {column.name!r} looks like dates such as {_short(texts[0].as_py())}, but not all in one known format",
        f"Known are {', '.join(FORMATS)}. Write them in one of these, leave the column out with data.exclude, or "
        "make it a category: data.schema {NAME: {type: string}}.",
    )


def _encoded(raw: ArrowArray) -> ArrowArray:
    """Texts as one dictionary-encoded array, with a dictionary that holds a text for each null: the empty one."""
    encoded = pc.dictionary_encode(pc.fill_null(raw, ""))
    if not isinstance(encoded, pa.ChunkedArray):
        return encoded
    # All chunks have the dictionary of the whole; to unify them would take its length for each chunk.
    dictionary = max((chunk.dictionary for chunk in encoded.chunks), key=len)
    return pa.DictionaryArray.from_arrays(
        pa.concat_arrays([chunk.indices for chunk in encoded.chunks]), dictionary
    )


def _mixed(name: str, cells: _Cells, odd: Mask, what: str = "numbers") -> ColumnError:
    rows = np.flatnonzero(odd[cells.places])
    shown = ", ".join(
        f"row {row + 1} {_short(cells.texts[int(cells.places[row])].as_py())}" for row in rows[:SHOWN]
    )
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    if what == "numbers" and numerals.numeric(cells.normal.filter(pa.array(odd))).all():
        what = "numbers in more than one notation"
    return ColumnError(
        "MixedColumn",
        f"Column {name!r} holds {what}; {len(rows)} of {len(cells.places)} cells do not fit: {shown}{more}",
        "Mend these cells or leave them empty. If the column is text, say so: data.schema {NAME: {type: string}}.",
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


# Currencies of places that write decimal points.
POINT_UNITS = frozenset({"$", "£", "USD", "GBP"})


def _decimal_mark(columns: Iterable[Column], delimiter: str | None) -> tuple[Decimal | None, str]:
    """Which decimal mark the file has, and what says so; None if nothing does, or columns differ, or none needs it."""
    known = [column for column in columns if column.kind == "numeric" and is_text(column.raw.type)]
    unclear = [column for column in known if column.also]
    commas = any(column.convention.decimal == "," for column in known if not column.also)
    if not unclear and not commas and delimiter != ";":
        return None, ""
    points = any(_has_points(column) for column in known)
    if commas != points:
        return ("," if commas else "."), "as in other columns"
    return (
        (",", "as semicolons separate the cells")
        if delimiter == ";" and unclear and not commas
        else (None, "")
    )


def _has_points(column: Column) -> bool:
    """Whether its decimal marks can only be points."""
    if column.also:
        return column.convention.unit in POINT_UNITS
    if column.convention.plain:
        return pa.types.is_floating(column.values.type) and not _groups_of_three(column)
    return column.convention.group == ","


GROUPS = Convention(decimal=",", group=".")
FIRST = 1000


def _groups_of_three(column: Column) -> bool:
    """Whether the points of plain numbers may also stand between thousands: 1.234."""
    for raw in (column.raw.slice(0, FIRST), column.raw):  # most columns show it at once
        cells = _Cells.of(raw)
        if not (numerals.fits(cells.normal, GROUPS) | cells.among(MISSING)).all():
            return False
    return bool(pc.any(pc.match_substring(cells.normal, ".")).as_py())


def _decide(column: Column, mark: Decimal | None, why: str, delimiter: str | None) -> Column:
    """The column in the convention that its file or its rule says."""
    options = [column.convention, column.also] if column.also else []
    unsure = mark == "," or (mark is None and delimiter == ";")
    if unsure and not options and _is_plain_text(column) and _groups_of_three(column):
        if mark is None:
            return replace(column, decided="as no other column has decimal commas")
        options = [PLAIN, GROUPS]
    if not options:
        return column
    chosen: list[Convention] = []
    if column.asked:
        chosen = [option for option in options if bool(option.group) == (column.asked == "integer")]
        why = ""
    if len(chosen) != 1:
        chosen = [option for option in options if option.decimal == mark]
    if len(chosen) != 1:
        raise _ambiguous(column, options)
    cells = _Cells.of(column.raw)
    decided, _ = _in_convention(column.name, column.raw, column.asked, cells, chosen[0])
    return replace(decided, asked=column.asked, decided=why)


def _is_plain_text(column: Column) -> bool:
    return (
        column.kind == "numeric"
        and is_text(column.raw.type)
        and column.convention.plain
        and bool(pa.types.is_floating(column.values.type))
    )


def _ambiguous(column: Column, options: list[Convention]) -> ColumnError:
    cell = next(text for text in column.written().to_pylist() if "," in text or "." in text)
    words = " or with ".join(each.words() for each in options)
    return ColumnError(
        "AmbiguousColumn",
        f"Column {column.name!r} may hold numbers with {words}, such as {cell!r}",
        "Say data.schema {NAME: {type: integer}} if the marks stand between thousands, {type: number} if decimals "
        "begin there, {type: string} if it is text.",
    )


def _mask(found: ArrowArray) -> Mask:
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)
