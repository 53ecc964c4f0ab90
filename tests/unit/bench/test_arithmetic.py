"""The bench's arithmetic says what its names promise."""

from __future__ import annotations

import pytest
from bench.arithmetic import percentile, ratio, slope, there_and_back


def test_rounds_go_there_and_back_so_that_a_drift_harms_all_alike() -> None:
    assert there_and_back("ABC", 3) == [["A", "B", "C"], ["C", "B", "A"], ["A", "B", "C"]]


def test_a_ratio_is_of_the_medians_and_shows_its_extreme_rounds() -> None:
    found = ratio([100, 120, 200], [10, 10, 40])

    assert (found.middle, found.low, found.high) == (12, 5, 12)


def test_a_ratio_needs_both_servers_in_every_round() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1, 2], [1])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_seen(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_the_slope_is_growth_per_unit_whatever_the_level() -> None:
    assert slope([(1, 70.5), (2, 71), (3, 71.5), (5, 72.5)]) == pytest.approx(0.5)
