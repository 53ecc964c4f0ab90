"""Formats times, durations, shares and foreign text for people. Pure."""

from __future__ import annotations

import unicodedata
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


def percent(share: float) -> str:
    """Returns a share of 1 in percent."""
    return f"{number(share * 100)} %"


def count(amount: int, thing: str) -> str:
    """Returns the amount with the noun, in the plural unless it is 1."""
    return f"{amount} {thing}" if amount == 1 else f"{amount} {thing}s"
