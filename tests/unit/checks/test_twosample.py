"""The statistics of two samples, beside those of scipy on the same rows."""

from __future__ import annotations

from itertools import repeat

import numpy as np
import pytest
from scipy import stats

from modelwright.checks import twosample
from modelwright.checks.twosample import Pairs

CELLS: Pairs = [(30, 200), (45, 210), (50, 190), (60, 205), (15, 195)]


def rows(which: int) -> list[int]:
    """The number of the cell of each row of a sample."""
    return [index for index, pair in enumerate(CELLS) for _ in repeat(None, int(pair[which]))]


def test_location_is_the_statistic_of_mann_and_whitney() -> None:
    first, second = rows(0), rows(1)
    of_scipy = stats.mannwhitneyu(first, second, method="asymptotic", use_continuity=False)
    deviation = twosample.ordered(CELLS).location.value / np.sqrt(1 / len(first) + 1 / len(second))
    # scipy divides the variance by N - 1.
    total = len(first) + len(second)
    assert 2 * stats.norm.sf(abs(deviation) * np.sqrt((total - 1) / total)) == pytest.approx(of_scipy.pvalue)


def test_spread_is_the_difference_of_mean_squares_of_the_ranks() -> None:
    first, second = np.array(rows(0)), np.array(rows(1))
    both = np.concatenate([first, second])
    ranks = stats.rankdata(both) - (len(both) + 1) / 2
    scores = ranks**2
    expected = (scores[: len(first)].mean() - scores[len(first) :].mean()) / scores.std()
    assert twosample.ordered(CELLS).spread.value == pytest.approx(expected)


def test_the_skewness_is_that_of_random_samples() -> None:
    """Of a feature that is nearly always 0, in a small hold-out and a large window."""
    cells: Pairs = [(1800, 180), (120, 12), (80, 8)]
    total, first = 2200, 2000
    ranks = np.repeat([0, 1, 2], [1980, 132, 88])
    scores = stats.rankdata(ranks)
    chance = np.random.default_rng(3)
    drawn = np.array([scores[chance.permutation(total)[: total - first]].sum() for _ in range(20_000)])
    # What the window has in excess the hold-out lacks.
    assert twosample.ordered(cells).location.skewness == pytest.approx(-stats.skew(drawn), abs=0.06)


def test_squares_are_between_those_of_pearson_and_the_likelihood_ratio() -> None:
    table = np.array(CELLS).T
    pearson = stats.chi2_contingency(table, correction=False).statistic
    ratio = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    assert twosample.squares(CELLS) <= min(pearson, ratio)
    assert twosample.squares(CELLS) == pytest.approx(pearson, rel=0.1)
    assert twosample.ordered(CELLS).squares == pytest.approx(twosample.squares(CELLS))


def test_equal_shares_do_not_differ() -> None:
    cells: Pairs = [(10, 100), (20, 200), (5, 50)]
    found = twosample.ordered(cells)
    assert found.location.value == pytest.approx(0, abs=1e-12)
    assert found.spread.value == pytest.approx(0, abs=1e-12)
    assert found.squares == pytest.approx(0, abs=1e-12)
    assert twosample.distance(0.2, 0.2) == 0


def test_samples_apart_from_each_other_have_a_finite_distance() -> None:
    cells: Pairs = [(50, 0), (0, 50), (0, 50)]
    assert twosample.squares(cells) > 50
    assert twosample.ordered(cells).location.value < -1
    assert twosample.distance(1.0, 0.0) == pytest.approx(np.pi)
    assert twosample.squares([(0, 5), (0, 6)]) == 0.0


def test_one_cell_with_all_rows_has_neither_location_nor_spread() -> None:
    found = twosample.ordered([(0, 0), (50, 500), (0, 0)])
    assert (found.location.value, found.spread.value, found.squares) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([(5, 5), (6, 6)], [(5, 5), (6, 6)]),
        ([(1, 1), (2, 7), (6, 6)], [(3, 8), (6, 6)]),
        ([(6, 6), (1, 1)], [(7, 7)]),
        ([(1, 1), (2, 2)], [(3, 3)]),
        ([(9, 9), (0, 0)], [(9, 9)]),
    ],
)
def test_small_cells_are_joined_to_a_neighbour(cells: Pairs, expected: Pairs) -> None:
    assert list(twosample.joined(cells, 10)) == expected


def test_the_cell_that_has_changed_most() -> None:
    assert twosample.most_changed(CELLS) == 4
    assert twosample.most_changed([(0, 0), (0, 0)]) == 0


def test_shares_that_are_equal_but_for_rounding_do_not_differ_by_less_than_nothing() -> None:
    for weight in np.linspace(0.01, 1, 300):
        cells = twosample.pairs([300, 211, 97], [3000, 2110, 970], weight)
        assert twosample.squares(cells) >= 0
        assert twosample.ordered(cells).squares >= 0
