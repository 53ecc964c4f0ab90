"""Decides between decimal points and decimal commas where the texts of a column fit both: the file decides."""

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.reading import numerals
from modelwright_training.reading.cells import Cells
from modelwright_training.reading.column import MISSING, Column, is_text
from modelwright_training.reading.faults import ColumnError
from modelwright_training.reading.numbers import in_convention
from modelwright_training.reading.numerals import PLAIN, Convention, Decimal

# Currencies of places that write decimal points.
POINT_UNITS = frozenset({"$", "£", "USD", "GBP"})
GROUPS = Convention(decimal=",", group=".")
# Rows that are looked at before all are.
FIRST = 1000


def decimal_mark(columns: Iterable[Column], delimiter: str | None) -> tuple[Decimal | None, str]:
    """Which decimal mark the file has, and what says so; None if nothing does, or columns differ, or none needs it."""
    known = [column for column in columns if column.kind == "numeric" and is_text(column.raw.type)]
    unclear = [column for column in known if column.also or _may_be_thousands(column)]
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


def _groups_of_three(column: Column) -> bool:
    """Whether the points of plain numbers may also stand between thousands: 1.234."""
    for raw in (column.raw.slice(0, FIRST), column.raw):  # most columns show it at once
        cells = Cells.of(raw)
        if not (numerals.fits(cells.normal, GROUPS) | cells.among(MISSING)).all():
            return False
    return bool(pc.any(pc.match_substring(cells.normal, ".")).as_py())


def decide(column: Column, mark: Decimal | None, why: str, delimiter: str | None) -> Column:
    """The column in the convention that its file or its rule says."""
    options = [column.convention, column.also] if column.also else []
    unsure = mark == "," or (mark is None and delimiter == ";")
    if unsure and not options and _is_plain_text(column) and _groups_of_three(column):
        if mark is None:
            return replace(column, decided="as no other column has decimal commas")
        options = [PLAIN, GROUPS]
    undecided = mark is None and column.asked in (None, "integer")
    if undecided and not options and _may_be_thousands(column):
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
    cells = Cells.of(column.raw)
    decided, _ = in_convention(column.name, column.raw, column.asked, cells, chosen[0])
    return replace(decided, asked=column.asked, decided=why)


def _may_be_thousands(column: Column) -> bool:
    """Whether points seem to stand between thousands: 1.234 beside 672, and no 1234."""
    if not _is_plain_text(column) or not _groups_of_three(column):
        return False
    bare = pc.match_substring_regex(column.raw, r"^\s*[+-]?[0-9]{1,3}\s*$")
    long = pc.match_substring_regex(column.raw, r"^\s*[+-]?[0-9]{4,}\s*$")
    return bool(pc.any(bare).as_py()) and not pc.any(long).as_py()


def _is_plain_text(column: Column) -> bool:
    return (
        column.kind == "numeric"
        and is_text(column.raw.type)
        and column.convention.plain
        and bool(pa.types.is_floating(column.values.type))
    )


def _ambiguous(column: Column, options: list[Convention]) -> ColumnError:
    cell = next(text for text in column.written().to_pylist() if "," in text or "." in text)
    words = " or with ".join(each.words() or "decimal points" for each in options)
    return ColumnError(
        "AmbiguousColumn",
        f"Column {column.name!r} may hold numbers with {words}, such as {cell!r}",
        "Say data.schema {NAME: {type: integer}} if the marks stand between thousands, {type: number} if decimals "
        "begin there, {type: string} if it is text.",
    )
