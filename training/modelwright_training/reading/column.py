"""A column of the data, as it was read."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.documents import Kind
from modelwright_training.reading.cells import Counts, mask
from modelwright_training.reading.numerals import PLAIN, Convention, Mask
from modelwright_training.untyped import ArrowArray, ArrowType

ColumnType = Literal["integer", "number", "boolean", "string", "date", "text"]
Floats = npt.NDArray[np.float64]
# What stands for a missing number; in a column of text these are text.
MISSING = ["", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-", "--"]
LEADING_ZERO = r"^\s*[+-]?0[0-9]"
FLAGS = {"true": 1.0, "false": 0.0}
KINDS: dict[ColumnType, Kind] = {"string": "categorical", "date": "date", "text": "text"}
# A column whose cells are numbers from this share on, but not all of them, is one of numbers with mistakes in it.
ALMOST = 0.95
# So it is from this share on, if the other cells are a few words only: "unknown", "n.k.".
MOSTLY, FEW_WORDS = 0.5, 5


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
            return mask(self.values.is_null()) & ~self.unfit
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
        there = mask(pc.not_equal(self.values.dictionary, ""))
        return self.values.dictionary.filter(pa.array(there)), counts[there]

    def stored(self) -> ArrowArray:
        """The values as they are stored: float64, int64 or string."""
        return self.values if self.kind == "numeric" else self.values.cast(pa.string())

    def written(self) -> ArrowArray:
        """The values as texts, as the file has them, without blanks around them."""
        text = self.raw if is_text(self.raw.type) else self.raw.cast(pa.string())
        return pc.utf8_trim_whitespace(pc.fill_null(text, ""))


def is_text(kind: ArrowType) -> bool:
    """Whether an Arrow type is one of texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
