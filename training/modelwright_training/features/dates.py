"""Dates as they are written, and the numbers that a model gets from them: in numpy for the trainer.

The module date_nodes computes the same for callers. Times with an offset are turned into UTC;
fractions of a second are dropped. The patterns are of RE2, which Arrow and ONNX Runtime both use."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from modelwright_training.untyped import ArrowArray

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float32]

SECONDS = 86_400  # of a day
PARTS = ("year", "month", "day", "weekday", "elapsed")
HOUR = "hour"

_TWO = "[0-9]{2}"
_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"  # 0001 to 9999
_FOURTH = "(?:0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = f"(?:{_TWO}{_FOURTH}|{_FOURTH}00)"
_CLOCK = "[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,9})?)?"
_ZONE = "(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"


@dataclass(frozen=True)
class Format:
    """A way to write a date. `order` holds the positions of year, month and day between the separators.

    `time`: hours and minutes follow, and if they like seconds with a fraction, after a T or a blank."""

    name: str
    separator: str
    order: tuple[int, int, int] = (0, 1, 2)
    time: bool = False
    zone: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """What is computed from such a date, in this order."""
        return (*PARTS, HOUR) if self.time else PARTS

    @property
    def pattern(self) -> str:
        """A regular expression that matches all dates of the calendar in this format as a whole, and nothing else."""
        # Without leading zeros too where the year comes last, as spreadsheets write it.
        zero = "0?" if self.order[0] == 2 else "0"
        months = f"(?:{zero}[1-9]|1[0-2])", f"(?:{zero}[13-9]|1[0-2])", f"(?:{zero}[13578]|1[02])"
        days = f"(?:{zero}[1-9]|1[0-9]|2[0-8])", "(?:29|30)", "31"
        written = [self.written(_YEAR, *pair) for pair in zip(months, days, strict=True)]
        date = f"(?:{'|'.join([*written, self.written(_LEAP_YEAR, f'{zero}2', '29')])})"
        if not self.time:
            return date
        return f"{date}{_CLOCK}{_ZONE}" if self.zone else f"{date}(?:{_CLOCK})?"

    def written(self, *fields: str) -> str:
        """Year, month and day in their order with the separators between them, as a regular expression."""
        places = sorted(zip(self.order, fields, strict=True))
        return f"[{self.separator}]".join(field for _, field in places) if self.separator else "".join(fields)


FORMATS = {
    known.name: known
    for known in (
        Format("YYYY-MM-DD", "-"),
        Format("YYYY-MM-DDThh:mm:ss", "-", time=True),
        Format("YYYY-MM-DDThh:mm:ssZ", "-", time=True, zone=True),
        Format("DD.MM.YYYY", ".", (2, 1, 0)),
        Format("DD.MM.YYYY hh:mm:ss", ".", (2, 1, 0), time=True),
        Format("DD/MM/YYYY", "/", (2, 1, 0)),
        Format("MM/DD/YYYY", "/", (2, 0, 1)),
        Format("YYYY/MM/DD", "/"),
        Format("YYYYMMDD", ""),
    )
}


def matches(texts: ArrowArray, known: Format) -> npt.NDArray[np.bool_]:
    """Which texts are dates in a format."""
    found = pyarrow.compute.match_substring_regex(texts, f"^(?:{known.pattern})$")
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def seconds(texts: ArrowArray, known: Format) -> Integers:
    """Seconds since 1970-01-01 UTC; every text has to be a date in the format."""
    fields = _fields(texts, known)
    behind = fields.pop("sign", None)
    year, month, day, *clock = (_integers(found) for found in fields.values())
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]")
    found: Integers = (first.astype(np.int64) + day - 1) * SECONDS
    for part, unit in zip(clock[:3], (3600, 60, 1), strict=False):
        found = found + part * unit
    if behind is not None:
        ahead = clock[3] * 3600 + clock[4] * 60
        found = found - np.where(np.asarray(behind) == "-", -ahead, ahead)
    return found


def numbers(texts: ArrowArray, known: Format, offset: int) -> dict[str, Numbers]:
    """The parts of each date; NaN where the text is empty.

    `offset`: the day from which `elapsed` counts, in days since 1970-01-01. `year` counts from the year of that
    day: years as they are would be large beside their spread, and lose digits when float32 scales them."""
    coded = texts.dictionary_encode()  # the same days come again and again
    different = coded.dictionary
    there = np.asarray(pyarrow.compute.not_equal(different, "").to_numpy(zero_copy_only=False), dtype=bool)
    total = seconds(different.filter(pa.array(there)), known)
    day, second = np.divmod(total, SECONDS)
    date = day.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    found = {
        "year": date.astype("datetime64[Y]").astype(np.int64) + 1970 - year_of(offset),
        "month": month.astype(np.int64) % 12 + 1,
        "day": (date - month).astype(np.int64) + 1,
        "weekday": (day + 3) % 7,  # 1970-01-01 was a Thursday; Monday is 0
        "elapsed": (total - offset * SECONDS) / SECONDS,
        "hour": second // 3600,
    }
    place = coded.indices.to_numpy()
    parts = {}
    for part in known.parts:
        parts[part] = np.full(len(different), np.nan, np.float32)
        parts[part][there] = found[part]
        parts[part] = parts[part][place]
    return parts


def year_of(day: int) -> int:
    """The year of a day since 1970-01-01."""
    return int(np.datetime64(day, "D").astype("datetime64[Y]").astype(np.int64)) + 1970


def _fields(texts: ArrowArray, known: Format) -> dict[str, ArrowArray]:
    """The parts of the texts by name: year, month, day, and where there is a time, those of it."""
    digits = "{1,2}" if known.order[0] == 2 else "{2}"
    pattern = known.written("(?P<year>[0-9]{4})", f"(?P<month>[0-9]{digits})", f"(?P<day>[0-9]{digits})")
    if known.time:
        pattern += "(?:[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.][0-9]+)?)?)?"
    if known.zone:
        pattern += "(?:Z|(?P<sign>[+-])(?P<ahead_hour>[0-9]{2}):(?P<ahead_minute>[0-9]{2}))"
    found = pyarrow.compute.extract_regex(texts, f"^{pattern}$")
    names = ("year", "month", "day", "hour", "minute", "second", "ahead_hour", "ahead_minute", "sign")
    present = {field.name for field in found.type}
    return {name: pyarrow.compute.struct_field(found, name) for name in names if name in present}


def _integers(texts: ArrowArray) -> Integers:
    """Digits as numbers; 0 where a part of the text is left out."""
    there = pyarrow.compute.if_else(pyarrow.compute.equal(texts, ""), "0", texts)
    return np.asarray(there.cast(pa.int64()).to_numpy(zero_copy_only=False))
