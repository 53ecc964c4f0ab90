"""The parts of a date as ONNX nodes, from the text that a caller sends: the same numbers as those of `dates`.

The days of a civil date and back: H. Hinnant, https://howardhinnant.github.io/date_algorithms.html. All of it is
integer arithmetic, exact for the years 1 to 9999. A text that is no date of the format ends the run with an error."""

import numpy as np
import onnx

from modelwright_training.documents import Feature
from modelwright_training.features.dates import FORMATS, SECONDS, Format, year_of
from modelwright_training.features.nodes import Nodes

INT64, FLOAT, DOUBLE = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE

# Days from 0000-03-01, where Hinnant's years begin, to 1970-01-01.
EPOCH = 719_468
# The server shows only what follows in the name of a node that refuses a value.
REFUSED = "refused: "


def date_nodes(nodes: Nodes, raw: str, feature: Feature) -> dict[str, str]:
    """The float32 tensors of a date's parts by their names; NaN where the text `raw` is empty."""
    known = FORMATS[feature.format or ""]
    text, marker = _checked(nodes, raw, feature, known)
    date, time = _halves(nodes, text) if known.time else (text, None)
    year, month, day = _date(nodes, date, known)
    days = _days(nodes, year, month, day)
    second = _clock(nodes, time, known) if time else None
    if known.zone and second is not None:
        total = _plus(nodes, _times(nodes, days, SECONDS), second)
        days = _div(nodes, _plus(nodes, total, EPOCH * SECONDS), SECONDS)
        second = _mod(nodes, total, SECONDS)
        year, month, day = _civil(nodes, days)
        days = _plus(nodes, days, -EPOCH)
    offset = int(feature.offset or 0)
    year = _plus(nodes, year, -year_of(offset))
    found = {"year": year, "month": month, "day": day, "weekday": _mod(nodes, _plus(nodes, days, 3), 7)}
    numbers = {part: nodes.add("Cast", value, to=FLOAT) for part, value in found.items()}
    numbers["elapsed"] = _elapsed(nodes, days, second, offset)
    if second is not None:
        numbers["hour"] = nodes.add("Cast", _div(nodes, second, 3600), to=FLOAT)
    return {part: nodes.add("Add", value, marker) for part, value in numbers.items()}


def _checked(nodes: Nodes, raw: str, feature: Feature, known: Format) -> tuple[str, str]:
    """The text with a date in place of an empty one, and what makes a number NaN there: 0 or NaN.

    Gather refuses an index beyond its table, as an error of the caller's; its message has the name of the node."""
    fits = nodes.add("RegexFullMatch", raw, pattern=known.pattern)
    other = nodes.add("Cast", nodes.add("Not", fits), to=INT64)
    empty = nodes.add("Cast", nodes.add("Equal", raw, nodes.constant("")), to=INT64)
    place = nodes.add("Sub", _times(nodes, other, 2), empty)  # 0: a date, 1: missing, 2: something else
    marker = nodes.add(
        "Gather",
        nodes.constant(np.array([0, np.nan], np.float32)),
        place,
        name=f"{REFUSED}{feature.name} has to be a date written as {known.name}, or empty",
    )
    return nodes.add("Where", fits, raw, nodes.constant(_example(known))), marker


def _example(known: Format) -> str:
    date = known.separator.join(
        part for _, part in sorted(zip(known.order, ("1970", "01", "01"), strict=True))
    )
    return f"{date}T00:00Z" if known.zone else date


def _split(nodes: Nodes, text: str, separator: str, padded: str) -> str:
    """The pieces between separators, [-1, 1, pieces]; `padded` is appended first, so that there are enough."""
    if padded:
        text = nodes.add("StringConcat", text, nodes.constant(padded))
    return nodes.add("StringSplit", text, delimiter=separator, unused=1)


def _piece(nodes: Nodes, pieces: str, place: int) -> str:
    """One of the pieces, [-1, 1]; also of no rows, which have no pieces."""
    start, end, axis = (nodes.constant(np.array([value])) for value in (place, place + 1, 2))
    return nodes.add(
        "Reshape", nodes.add("Slice", pieces, start, end, axis), nodes.constant(np.array([0, 1]))
    )


def _halves(nodes: Nodes, text: str) -> tuple[str, str]:
    """A text around its T or blank; the second half is empty where there is neither."""
    parts = _split(nodes, text, "T", "T")
    before, after = _piece(nodes, parts, 0), _piece(nodes, parts, 1)
    parts = _split(nodes, before, " ", " ")
    return _piece(nodes, parts, 0), nodes.add("StringConcat", _piece(nodes, parts, 1), after)


def _date(nodes: Nodes, date: str, known: Format) -> tuple[str, str, str]:
    """Year, month and day as int64."""
    if not known.separator:
        number = nodes.add("Cast", date, to=INT64)
        return (
            _div(nodes, number, 10_000),
            _mod(nodes, _div(nodes, number, 100), 100),
            _mod(nodes, number, 100),
        )
    parts = nodes.add("Cast", _split(nodes, date, known.separator, ""), to=INT64)
    year, month, day = (_piece(nodes, parts, place) for place in known.order)
    return year, month, day


def _clock(nodes: Nodes, time: str, known: Format) -> str:
    """The second of the day in UTC, which is negative or beyond a day where the zone is ahead or behind."""
    if not known.zone:
        return _seconds(nodes, time)
    parts = _split(nodes, time, "Z", "Z")
    parts = _split(nodes, _piece(nodes, parts, 0), "+", "+")
    before, ahead = _piece(nodes, parts, 0), _piece(nodes, parts, 1)
    parts = _split(nodes, before, "-", "-")
    clock, behind = _piece(nodes, parts, 0), _piece(nodes, parts, 1)
    local = nodes.add("Sub", _seconds(nodes, clock), _seconds(nodes, ahead))
    return nodes.add("Add", local, _seconds(nodes, behind))


def _seconds(nodes: Nodes, clock: str) -> str:
    """Of hh:mm:ss; what is left out counts as 0."""
    parts = _split(nodes, clock, ":", "::")
    gone = nodes.add("Equal", parts, nodes.constant(""))
    numbers = nodes.add("Cast", nodes.add("Where", gone, nodes.constant("0"), parts), to=DOUBLE)
    whole = nodes.add("Cast", numbers, to=INT64)  # drops the fraction
    hour, minute, second = (_piece(nodes, whole, place) for place in range(3))
    return _plus(nodes, _plus(nodes, _times(nodes, hour, 3600), _times(nodes, minute, 60)), second)


def _days(nodes: Nodes, year: str, month: str, day: str) -> str:
    """Days since 1970-01-01 of a civil date."""
    from_march = _mod(nodes, _plus(nodes, month, 9), 12)
    years = nodes.add(
        "Sub", year, _div(nodes, from_march, 10)
    )  # January and February belong to the year before
    before = _div(nodes, _plus(nodes, _times(nodes, from_march, 153), 2), 5)
    return _plus(nodes, _plus(nodes, _plus(nodes, _until(nodes, years), before), day), -1 - EPOCH)


def _until(nodes: Nodes, years: str) -> str:
    """The days of so many years of the Gregorian calendar, from the year 0 on."""
    leap = nodes.add("Sub", _div(nodes, years, 4), _div(nodes, years, 100))
    return _plus(nodes, _plus(nodes, _times(nodes, years, 365), leap), _div(nodes, years, 400))


def _civil(nodes: Nodes, days: str) -> tuple[str, str, str]:
    """Year, month and day; `days` counts from 0000-03-01."""
    era = _div(nodes, days, 146_097)  # 400 years
    of_era = nodes.add("Sub", days, _times(nodes, era, 146_097))
    short = nodes.add("Sub", of_era, _div(nodes, of_era, 1460))
    short = _plus(nodes, short, _div(nodes, of_era, 36_524))
    year_of_era = _div(nodes, nodes.add("Sub", short, _div(nodes, of_era, 146_096)), 365)
    of_year = nodes.add("Sub", of_era, _until(nodes, year_of_era))
    from_march = _div(nodes, _plus(nodes, _times(nodes, of_year, 5), 2), 153)
    before = _div(nodes, _plus(nodes, _times(nodes, from_march, 153), 2), 5)
    years = _plus(nodes, _plus(nodes, _times(nodes, era, 400), year_of_era), _div(nodes, from_march, 10))
    month = _plus(nodes, _mod(nodes, _plus(nodes, from_march, 2), 12), 1)
    return years, month, _plus(nodes, nodes.add("Sub", of_year, before), 1)


def _elapsed(nodes: Nodes, days: str, second: str | None, offset: int) -> str:
    """Days since the offset, with a fraction where there is a time, rounded to float32 once."""
    since = _plus(nodes, days, -offset)
    if second is None:
        return nodes.add("Cast", since, to=FLOAT)
    exact = nodes.add("Cast", _plus(nodes, _times(nodes, since, SECONDS), second), to=DOUBLE)
    return nodes.add("Cast", nodes.add("Div", exact, nodes.constant(np.float64(SECONDS))), to=FLOAT)


def _plus(nodes: Nodes, left: str, right: str | int) -> str:
    return nodes.add("Add", left, right if isinstance(right, str) else nodes.constant(np.int64(right)))


def _times(nodes: Nodes, left: str, right: int) -> str:
    return nodes.add("Mul", left, nodes.constant(np.int64(right)))


def _div(nodes: Nodes, left: str, right: int) -> str:
    """The whole quotient; ONNX rounds it towards 0, so `left` must not be negative."""
    return nodes.add("Div", left, nodes.constant(np.int64(right)))


def _mod(nodes: Nodes, left: str, right: int) -> str:
    """The remainder, which is never negative."""
    return nodes.add("Mod", left, nodes.constant(np.int64(right)))
