"""Tells whether a column holds dates and in which format, and gives its values as the Parquets hold them.

Dates stay texts as callers send them, empty where missing; those of Parquet become ISO texts, in UTC if they have a
zone. What a model gets from them is left to the features."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from modelwright_training.features.dates import FORMATS, SECONDS, Format, matches, seconds
from modelwright_training.untyped import ArrowArray, ArrowType

# In a column of dates at least this share of the texts are dates; the others are mistakes.
ALMOST = 0.95
# Whether 03/04/2026 is in March or in April, no text of the column tells.
AMBIGUOUS = "DD/MM/YYYY or MM/DD/YYYY"
# Too likely to be whole numbers.
ASKED = ("YYYYMMDD",)
SAMPLE = 1000

# What people take for a date, in whatever order and with whatever time behind it.
_NAME = r"(?:jan|feb|mar|mär|apr|ma[yi]|jun|jul|aug|sep|oct|okt|nov|dec|dez)\p{L}*[.]?"
_DAY = f"(?:[0-9]{{1,2}}[.]?[ /-]?{_NAME}|{_NAME}[ -]?[0-9]{{1,2}}(?:st|nd|rd|th)?)[ ,/-]*(?:[0-9]{{4}}|[0-9]{{2}})"
_DAY_OR_MONTH = "(?:0?[1-9]|[12][0-9]|3[01])"
_LAST = f"{_DAY_OR_MONTH}[./-]{_DAY_OR_MONTH}[./-](?:[0-9]{{4}}|[0-9]{{2}})"
_FIRST = f"[0-9]{{4}}[./-]{_DAY_OR_MONTH}[./-]{_DAY_OR_MONTH}"
RESEMBLING = f"(?i)^(?:{_DAY}|{_LAST}|{_FIRST})(?:[T ,]+[0-9]{{1,2}}:[0-9]{{2}}.*)?$"

Mask = npt.NDArray[np.bool_]


def recognise(texts: ArrowArray, *, asked: bool = False) -> str | None:
    """The format of at least 95 % of these texts, of which none is empty; None if they are no dates.

    `AMBIGUOUS` if day and month cannot be distinguished. `asked`: the user says that they are dates, so that the format
    is the one of most texts, if it is that of any."""
    least = 1 / max(len(texts), 1) if asked else ALMOST
    candidates = [known for known in FORMATS.values() if asked or known.name not in ASKED]
    if not asked:
        some = texts.slice(0, SAMPLE)
        candidates = [known for known in candidates if _share(some, known) > 0]
    shares = {known.name: _share(texts, known) for known in candidates}
    best = max(shares, key=lambda name: shares[name], default=None)
    if best is None or shares[best] < least:
        return None
    day, month = (shares.get(name, 0.0) for name in AMBIGUOUS.split(" or "))
    return AMBIGUOUS if best in AMBIGUOUS and day == month else best


def resemble(texts: ArrowArray) -> bool:
    """Whether at least 95 % of these texts look like dates, in formats that `recognise` need not know."""
    found = pyarrow.compute.match_substring_regex(texts, RESEMBLING)
    return len(texts) > 0 and pyarrow.compute.mean(found).as_py() >= ALMOST


def recognise_type(kind: ArrowType) -> str | None:
    """The format in which the dates or times of a Parquet column are written; None if it holds others."""
    if pa.types.is_date(kind):
        return "YYYY-MM-DD"
    if pa.types.is_timestamp(kind):
        return "YYYY-MM-DDThh:mm:ssZ" if kind.tz else "YYYY-MM-DDThh:mm:ss"
    return None


def values(raw: ArrowArray, name: str) -> tuple[ArrowArray, Mask]:
    """The texts of a column, empty where missing, and which of them are no dates in the format of this name."""
    texts = pyarrow.compute.fill_null(pyarrow.compute.utf8_trim_whitespace(_texts(raw)), "")
    there = pyarrow.compute.not_equal(texts, "").to_numpy(zero_copy_only=False)
    return texts, np.asarray(there, dtype=bool) & ~matches(texts, FORMATS[name])


def instants(texts: ArrowArray, name: str) -> npt.NDArray[np.float64]:
    """Seconds since 1970-01-01 UTC; NaN where a text is no date in the format of this name."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    fits = matches(whole, FORMATS[name])
    found = np.full(len(whole), np.nan)
    found[fits] = seconds(whole.filter(pa.array(fits)), FORMATS[name])
    return found


def offset(texts: ArrowArray, name: str) -> int:
    """The middle one of a column's days, since 1970-01-01: float32 keeps most of the time that has elapsed since it."""
    found = instants(texts.unique(), name)
    found = found[~np.isnan(found)]
    return int(np.median(found) // SECONDS) if len(found) else 0


def _share(texts: ArrowArray, known: Format) -> float:
    return float(matches(texts, known).mean()) if len(texts) else 0.0


def _texts(raw: ArrowArray) -> ArrowArray:
    kind = raw.type
    if pa.types.is_timestamp(kind):
        exact = pyarrow.compute.floor_temporal(raw, unit="second")
        return exact.cast(pa.timestamp("s", "UTC" if kind.tz else None)).cast(pa.string())
    if pa.types.is_date64(kind):
        raw = raw.cast(pa.date32())
    return raw.cast(pa.string())
