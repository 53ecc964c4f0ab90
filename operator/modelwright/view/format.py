"""Formats times, durations, shares, tables and foreign text for people. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime

from modelwright.common.times import from_timestamp

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def plain(text: str) -> str:
    """Returns the text on one line without control characters. It is not ours and could steer the terminal."""
    return "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)


def span(seconds: float) -> str:
    """Returns a duration in its two largest units: 3 min 10 s."""
    left, parts = max(0, round(seconds)), []
    for unit, size in UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        if len(parts) == 2 or (parts and not count):
            break
    return " ".join(parts) or "0 s"


def since(timestamp: str | None, now: datetime) -> float | None:
    """Returns the seconds from the timestamp to now; None without a valid timestamp."""
    try:
        return None if timestamp is None else (now - from_timestamp(timestamp)).total_seconds()
    except (ValueError, TypeError):  # no timestamp, or one without a zone
        return None


def ago(timestamp: str | None, now: datetime) -> str:
    """Returns how long ago that was."""
    seconds = since(timestamp, now)
    return "at an unknown time" if seconds is None else f"{span(seconds)} ago"


def ahead(timestamp: str | None, now: datetime) -> str:
    """Returns how long it is until then."""
    seconds = since(timestamp, now)
    if seconds is None:
        return "for an unknown time"
    return f"for {span(-seconds)} more" if seconds < 0 else "until the operator looks again"


def number(value: float) -> str:
    """Returns a number with four significant digits."""
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Returns a duration that was measured, in milliseconds if it is below a second."""
    return f"{number(seconds)} s" if seconds >= 1 else f"{number(seconds * 1000)} ms"


def percent(share: float) -> str:
    """Returns a share of 1 in percent."""
    return f"{number(share * 100)} %"


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Returns the rows with aligned columns. Columns that are empty in every row are left out."""
    kept = list(rows)
    columns = [column for column in zip(*kept, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return ["  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
