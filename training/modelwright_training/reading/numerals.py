"""How numbers are written: marks of decimals and thousands, and units. Finds what fits all texts of a column.

Works on the distinct texts of a column, stripped; which rows hold them is left to the columns."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.untyped import ArrowArray

Decimal = Literal[".", ","]
Mask = npt.NDArray[np.bool_]

SYMBOLS = ("€", "$", "£", "¥", "%", "‰")
CODES = ("EUR", "USD", "GBP", "CHF", "JPY", "CNY", "INR", "SEK", "NOK", "DKK", "PLN", "CZK", "CAD", "AUD")
_UNIT = "|".join(re.escape(unit) for unit in (*SYMBOLS, *CODES))
# No-break, figure, thin and narrow no-break spaces; the typographic apostrophe; the minus sign.
_SPACES, _APOSTROPHE, _MINUS = "[\u00a0\u2007\u2009\u202f]", "\u2019", "\u2212"


@dataclass(frozen=True)
class Convention:
    """Which mark begins the decimals, which stands between thousands, and the unit of every cell."""

    decimal: Decimal = "."
    group: str = ""
    unit: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is how JSON writes numbers."""
        return self == PLAIN

    @property
    def pattern(self) -> str:
        """A regular expression (RE2) for a number without its unit.

        No leading zero stands before a mark of thousands: 030 123 456 is a telephone number."""
        decimal, group = re.escape(self.decimal), re.escape(self.group)
        whole = rf"(?:[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+|[0-9]+)" if group else "[0-9]+"
        exponent = r"(?:[eE][+-]?[0-9]+)?"
        return rf"^[+-]?(?:(?:{whole}(?:{decimal}[0-9]*)?|{decimal}[0-9]+){exponent}|(?i:inf|infinity))$"

    def canonical(self, bare: ArrowArray) -> ArrowArray:
        """Rewrite numbers without their unit so that Arrow reads them."""
        if self.group:
            bare = pc.replace_substring(bare, self.group, "")
        if self.decimal == ",":
            bare = pc.replace_substring(bare, ",", ".")
        return pc.replace_substring_regex(bare, r"^\+", "")

    def words(self) -> str:
        """The convention as a noun phrase."""
        marks = {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}
        parts = [f"the unit {self.unit}"] if self.unit else []
        parts += ["decimal commas"] if self.decimal == "," else []
        parts += [f"{marks[self.group]} between thousands"] if self.group else []
        return " and ".join(parts)


PLAIN = Convention()
# In the order of preference where several fit and mean the same.
MARKS: tuple[tuple[Decimal, str], ...] = (
    (".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
)  # fmt: skip


@dataclass(frozen=True)
class Readings:
    """What the distinct texts of a column can be read as. A mask has one entry for each text."""

    bare: ArrowArray
    fits: dict[Convention, Mask]

    def best(self, rows: npt.NDArray[np.int64]) -> Convention:
        """The convention that fits most rows; `rows` counts them for each text. The plainest among equals."""
        return max(self.fits, key=lambda convention: int(rows[self.fits[convention]].sum()))

    def meanings(self) -> list[Convention]:
        """What all texts can mean: the plainest convention of decimal points, and that of decimal commas.

        Texts without points and commas mean the same in both: then only the first is listed."""
        complete = [convention for convention, fits in self.fits.items() if fits.all()]
        first = {convention.decimal: convention for convention in reversed(complete)}
        marked = pc.any(pc.match_substring_regex(self.bare, "[.,]")).as_py()
        ordered = [first[mark] for mark in (".", ",") if mark in first]
        return ordered if marked else ordered[:1]


def normal(texts: ArrowArray) -> ArrowArray:
    """Texts stripped, with plain spaces, apostrophes and minus signs."""
    stripped = pc.utf8_trim_whitespace(texts)
    for mark, plain in ((_SPACES, " "), (_APOSTROPHE, "'"), (_MINUS, "-")):
        stripped = pc.replace_substring_regex(stripped, mark, plain)
    return stripped


def numeric(texts: ArrowArray) -> Mask:
    """Which `normal` texts are numbers by some convention and with some unit."""
    number = "|".join(Convention(decimal, group).pattern.strip("^$") for decimal, group in MARKS)
    pattern = rf"^(?:[+-]? ?(?:{_UNIT}) ?)?(?:{number})(?: ?(?:{_UNIT}))?$"
    return _mask(pc.match_substring_regex(texts, pattern))


def readings(texts: ArrowArray) -> Readings:
    """Try all conventions on `normal` texts that are not missing."""
    unit = _common_unit(texts)
    bare = _without_unit(texts, unit)
    conventions = [Convention(decimal, group, unit) for decimal, group in MARKS]
    return Readings(bare, {each: _matches(bare, each) for each in conventions})


def _matches(bare: ArrowArray, convention: Convention) -> Mask:
    return _mask(pc.match_substring_regex(bare, convention.pattern))


def _mask(found: ArrowArray) -> Mask:
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False), dtype=bool)


def _common_unit(texts: ArrowArray) -> str:
    """The unit that most texts have that have one; of equals the first of the lists above."""
    marked = texts.filter(pc.match_substring_regex(texts, f"{_front(_UNIT)}|{_back(_UNIT)}"))
    if not len(marked):
        return ""
    units = (*SYMBOLS, *CODES)
    return max(units, key=lambda unit: int(pc.sum(pc.match_substring(marked, unit)).as_py()))


def _front(unit: str) -> str:
    return f"^([+-]?) ?(?:{unit}) ?"


def _back(unit: str) -> str:
    return f" ?(?:{unit})$"


def _without_unit(texts: ArrowArray, unit: str) -> ArrowArray:
    """Texts without the unit before or behind them; null where it is not there."""
    if not unit:
        return texts
    behind = pc.replace_substring_regex(texts, _back(re.escape(unit)), "")
    before = pc.replace_substring_regex(texts, _front(re.escape(unit)), r"\1")
    bare = pc.if_else(pc.equal(behind, texts), before, behind)
    return pc.if_else(pc.equal(bare, texts), None, bare)


def fits(texts: ArrowArray, convention: Convention) -> Mask:
    """Which `normal` texts are numbers in a convention."""
    return _matches(_without_unit(texts, convention.unit), convention)


def values(texts: ArrowArray, convention: Convention) -> tuple[ArrowArray, bool]:
    """The numbers that `normal` texts stand for, null where the convention does not fit; see `exact`."""
    bare = _without_unit(texts, convention.unit)
    return exact(pc.if_else(pa.array(_matches(bare, convention)), convention.canonical(bare), None))


def exact(canonical: ArrowArray) -> tuple[ArrowArray, bool]:
    """Cast texts to int64 if all are whole numbers that fit, else to float64; raises ArrowInvalid if it cannot.

    The flag is False where whole numbers beyond int64 were rounded."""
    try:
        return canonical.cast(pa.int64()), True
    except pa.ArrowInvalid:
        floats = canonical.cast(pa.float64())
    large = pc.any(pc.greater_equal(pc.abs(floats), 2.0**53)).as_py()
    if not large or not pc.all(pc.match_substring_regex(canonical, r"^[+-]?[0-9]+$")).as_py():
        return floats, True
    try:
        return pc.replace_substring_regex(canonical, r"^\+", "").cast(pa.int64()), True
    except pa.ArrowInvalid:
        return floats, False
