"""Intervals of comparisons hold whatever the number of groups and rows."""

import numpy as np
import numpy.typing as npt
import pytest

from modelwright_training.judging import simultaneous
from modelwright_training.judging.intervals import Interval
from modelwright_training.judging.simultaneous import Estimates

Floats = npt.NDArray[np.float64]


def drawn(random: np.random.Generator, chances: list[float], rows: list[int]) -> Estimates:
    codes = np.repeat(np.arange(len(rows)), rows)
    hits = (random.random(len(codes)) < np.repeat(chances, rows)).astype(np.float64)
    return simultaneous.shares(hits, codes, len(rows))


def ratios(chances: list[float], rows: list[int], times: int = 400) -> list[Interval]:
    random = np.random.default_rng(0)
    return [simultaneous.ratio(drawn(random, chances, rows)) for _ in range(times)]


@pytest.mark.parametrize("rows", [[60, 60], [200, 200], [60] * 5, [60, 1000]])
@pytest.mark.parametrize("chance", [0.1, 0.5])
def test_groups_of_equal_chances_do_not_fail_the_four_fifths_rule(rows: list[int], chance: float) -> None:
    failed = sum(high < 0.8 for _, high in ratios([chance] * len(rows), rows))
    assert failed <= 4  # 1 % of 400


@pytest.mark.parametrize("groups", [2, 5])
def test_a_ratio_of_three_fifths_fails_it_with_a_thousand_rows_a_group(groups: int) -> None:
    found = ratios([0.5] * (groups - 1) + [0.3], [1000] * groups)
    assert sum(high < 0.8 for _, high in found) >= 396


@pytest.mark.parametrize("groups", [2, 3, 8])
@pytest.mark.parametrize("rows", [40, 400])
def test_intervals_cover_what_is_true(groups: int, rows: int) -> None:
    random = np.random.default_rng(1)
    chances = np.linspace(0.3, 0.5, groups).tolist()
    truths = {"ratio": 0.6, "difference": 0.2, "smallest": 0.3, "largest": 0.5}
    missed = dict.fromkeys(truths, 0)
    for _ in range(300):
        estimates = drawn(random, chances, [rows] * groups)
        for name, truth in truths.items():
            low, high = getattr(simultaneous, name)(estimates)
            missed[name] += not low - 1e-9 <= truth <= high + 1e-9
    assert max(missed.values()) <= 24  # 5 % of 300, and three standard errors


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_width_for_all_pairs_is_the_studentized_range(level: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    for groups in (2, 5, 32):
        expected = stats.studentized_range.ppf(level, groups, 1e9) / np.sqrt(2)
        assert simultaneous.for_pairs(groups, level) == pytest.approx(expected, rel=1e-5)


def test_rows_that_belong_together_make_wider_intervals() -> None:
    random = np.random.default_rng(2)
    units = np.repeat(np.arange(100), 10)
    hits = np.repeat(random.random(100) < 0.5, 10).astype(np.float64)  # a customer is always treated alike
    codes = (units % 2).astype(np.int64)
    alone = simultaneous.smallest(simultaneous.shares(hits, codes, 2))
    together = simultaneous.smallest(simultaneous.shares(hits, codes, 2, units))
    of_units = simultaneous.smallest(simultaneous.shares(hits[::10], codes[::10], 2))
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])
    assert together == pytest.approx(of_units, abs=0.03)


def test_units_of_one_row_change_hardly_anything() -> None:
    random = np.random.default_rng(3)
    hits, codes = (random.random(800) < 0.4).astype(np.float64), random.integers(0, 2, 800)
    plain, own = (
        simultaneous.ratio(simultaneous.shares(hits, codes, 2, units)) for units in (None, np.arange(800))
    )
    assert own == pytest.approx(plain, abs=0.01)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_none_or_all_still_has_an_interval(share: float) -> None:
    estimates = simultaneous.shares(np.full(80, share), np.repeat([0, 1], 40), 2)
    low, high = simultaneous.smallest(estimates)
    assert 0.05 < high - low < 0.2
    low, high = simultaneous.difference(estimates)
    assert low == 0
    assert 0.05 < high < 0.2


def test_means_of_positive_numbers_are_covered() -> None:
    random = np.random.default_rng(4)
    codes = np.repeat([0, 1], [60, 300])
    missed = {"ratio": 0, "difference": 0}
    for _ in range(300):
        estimates = simultaneous.means(random.exponential(2.0, 360), codes, 2)
        missed["ratio"] += not simultaneous.ratio(estimates)[1] >= 1 - 1e-9
        missed["difference"] += simultaneous.difference(estimates)[0] > 0
    assert max(missed.values()) <= 6


def test_a_single_row_or_unit_says_nothing() -> None:
    hits, codes = np.array([1.0, 0, 1, 0, 1]), np.array([0, 1, 1, 1, 1])
    low, high = simultaneous.smallest(simultaneous.shares(hits, codes, 2, np.zeros(5, dtype=np.int64)))
    assert low < 0.01
    assert high > 0.99
    ends = simultaneous.largest(simultaneous.means(hits, codes, 2))
    assert ends[1] > 1e6
