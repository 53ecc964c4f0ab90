"""How spans, moments and texts of others are written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelwright.view.format import ago, ahead, duration, number, percent, plain, span

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (-5, "0 s"), (59.4, "59 s"), (60, "1 min"), (190, "3 min 10 s"), (3600, "1 h"), (3605, "1 h"),
        (5400, "1 h 30 min"), (86400 * 3 + 3600 * 2 + 61, "3 d 2 h"),
    ],
)  # fmt: skip
def test_a_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_moments_are_told_from_now() -> None:
    assert ago("2026-01-01T11:59:00Z", NOW) == "1 min ago"
    assert ahead("2026-01-01T12:00:30Z", NOW) == "for 30 s more"
    assert ahead("2026-01-01T11:00:00Z", NOW) == "until the operator looks again"


@pytest.mark.parametrize("text", [None, "", "soon", "2026-01-01T11:59:00"])
def test_what_is_no_moment_is_no_crash(text: str | None) -> None:
    assert ago(text, NOW) == "at an unknown time"
    assert ahead(text, NOW) == "for an unknown time"


def test_a_text_of_others_cannot_steer_the_terminal() -> None:
    assert plain("\x1b[2Jgone\r\nfor\x9bgood\u202e\u00e4") == " [2Jgone  for good \u00e4"


def test_what_took_less_than_a_second_is_told_in_milliseconds() -> None:
    assert (duration(0.00032987), duration(0), duration(1.5)) == ("0.3299 ms", "0 ms", "1.5 s")


def test_numbers_have_four_digits() -> None:
    assert (number(0.123456), number(1234567), percent(0.00123)) == ("0.1235", "1.235e+06", "0.123 %")
