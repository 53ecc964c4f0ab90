"""The different texts of a column and which rows hold each: most decisions look at each text once."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.reading import numerals
from modelwright_training.reading.faults import ColumnError
from modelwright_training.reading.numerals import Mask
from modelwright_training.untyped import ArrowArray

Counts = npt.NDArray[np.int64]
SHOWN = 5


@dataclass(frozen=True)
class Cells:
    """The distinct texts of a column, as they are and normal; `places` says which of them each row holds."""

    encoded: ArrowArray
    normal: ArrowArray
    places: npt.NDArray[np.int32]
    counts: Counts

    @classmethod
    def of(cls, raw: ArrowArray) -> "Cells":
        encoded = encode(raw)
        places = encoded.indices.to_numpy()
        counts = np.bincount(places, minlength=len(encoded.dictionary))
        return cls(encoded, numerals.normal(encoded.dictionary), places, counts)

    @property
    def texts(self) -> ArrowArray:
        """The texts as they are."""
        return self.encoded.dictionary

    def among(self, words: Collection[str]) -> Mask:
        """Which texts are one of some words, in small or capital letters."""
        return mask(pc.is_in(pc.utf8_lower(self.normal), pa.array(words)))

    def share(self, some: Mask, there: Mask) -> float:
        """The share of some texts among the rows that hold one."""
        return float(self.counts[some & there].sum() / max(1, self.counts[there].sum()))

    def spread(self, by_text: ArrowArray) -> ArrowArray:
        """A value for each row, from one for each text."""
        return by_text.take(pa.array(self.places))


def encode(raw: ArrowArray) -> ArrowArray:
    """Texts as one dictionary-encoded array, with a dictionary that holds a text for each null: the empty one."""
    encoded = pc.dictionary_encode(pc.fill_null(raw, ""))
    if not isinstance(encoded, pa.ChunkedArray):
        return encoded
    # All chunks have the dictionary of the whole; to unify them would take its length for each chunk.
    dictionary = max((chunk.dictionary for chunk in encoded.chunks), key=len)
    return pa.DictionaryArray.from_arrays(
        pa.concat_arrays([chunk.indices for chunk in encoded.chunks]), dictionary
    )


def mask(found: ArrowArray) -> Mask:
    """An Arrow array of booleans as a mask."""
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def mixed(name: str, cells: Cells, odd: Mask, what: str = "numbers") -> ColumnError:
    """The refusal of a column some of whose cells do not fit: their rows, and the first of them."""
    rows = np.flatnonzero(odd[cells.places])
    shown = ", ".join(
        f"row {row + 1} {short(cells.texts[int(cells.places[row])].as_py())}" for row in rows[:SHOWN]
    )
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    if what == "numbers" and numerals.numeric(cells.normal.filter(pa.array(odd))).all():
        what = "numbers in more than one notation"
    return ColumnError(
        "MixedColumn",
        f"Column {name!r} holds {what}; {len(rows)} of {len(cells.places)} cells do not fit: {shown}{more}",
        "Mend these cells or leave them empty. If the column is text, say so: data.schema {NAME: {type: string}}.",
    )


def short(text: str) -> str:
    """A text for a message."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
