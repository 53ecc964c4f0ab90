"""Quantiles of cells, and evidence about their ratio: sound wherever in its cell a value is, however often somebody
looks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import exp, inf, log, nextafter

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.checks.evidence import Interval, rate_above, rate_below
from modelwright.checks.quantiles import (
    LEAST,
    MOST,
    RESERVE,
    STEP,
    Cells,
    Histogram,
    Ratio,
    quantile,
    quantile_interval,
    ratio_interval,
    samples_needed,
    share_above,
)

ALPHA = 0.025
ENOUGH = log(1 / ALPHA)
RANKS = st.sampled_from((0.01, 0.5, 0.9, 0.99))
FACTORS = st.sampled_from((0.5, 1.0, 1.05, 1.5, 3.0))
VALUES = st.lists(st.floats(0.001, 10), min_size=1, max_size=60)
# The upper bounds of coarse cells, as servers of earlier releases have them.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def fine(value: float) -> tuple[float, float]:
    """The cell of a value, of those with a ratio of 1.05."""
    above = int(numpy.ceil(log(value / 2e-5) / log(1.05)))
    cell = (2e-5 * 1.05 ** (above - 1), 2e-5 * 1.05**above)
    # Where rounding puts a value next to its cell, the cell is made wider.
    return min(cell[0], nextafter(value, 0)), max(cell[1], value)


def coarse(value: float) -> tuple[float, float]:
    """The cell of a value in BUCKETS."""
    bounds = (0.0, *BUCKETS, inf)
    above = bisect_left(bounds, value)
    return bounds[above - 1], bounds[above]


def exact(value: float) -> tuple[float, float]:
    """A cell that holds this value alone."""
    return nextafter(value, 0), value


def histogram(values: list[float], cell: Callable[[float], tuple[float, float]] = exact) -> Histogram:
    return Histogram({place: float(count) for place, count in Counter(map(cell, values)).items()})


@st.composite
def histograms(draw: st.DrawFn, most: int = 1000) -> Histogram:
    """Any cells: those that overlap, that have no upper bound, that have gaps between them, that are empty."""
    bounds = st.sampled_from((0.0, *BUCKETS, 0.0105, 0.011, 0.0115, 0.012, inf))
    cells = st.tuples(bounds, bounds).filter(lambda ends: ends[0] < ends[1])
    counts = st.one_of(st.integers(0, most).map(float), st.floats(0, most))
    return Histogram(draw(st.dictionaries(cells, counts, max_size=12)))


def wagered(evidence: float) -> float:
    return log(RESERVE + (1 - RESERVE) * exp(min(evidence, MOST)))


def by_definition(above: Histogram, below: Histogram, rank: float, factor: float) -> float:
    """The smallest product over points everywhere, each counted from scratch."""
    ends = {end for cell in above.cells for end in cell} | {
        end * factor for cell in below.cells for end in cell
    }
    points = (
        {1e-9}
        | {point * (1 + 1e-9) for point in ends if 0 < point < inf}
        | {point for point in ends if point < inf}
    )
    sums = []
    for point in points - {0.0}:
        possible = sum(count for (lower, _), count in above.cells.items() if lower < point)
        certain = sum(count for (_, upper), count in below.cells.items() if upper < point / factor)
        of_above = rate_below(possible, above.samples, rank)
        of_below = rate_above(certain, below.samples, rank)
        sums.append(wagered(of_above) + wagered(of_below))
    return min(sums)


@pytest.mark.parametrize(
    ("cells", "rank", "value"),
    [
        ({(0, 1): 10}, 0.5, 0.5),
        ({(1, 2): 10}, 0.99, 1.99),
        ({(1, 2): 10, (2, 4): 10}, 0.5, 2.0),
        ({(1, 2): 10, (2, 4): 10}, 0.75, 3.0),
        ({(1, 2): 0.5, (2, 4): 1.5}, 0.5, 2 + 2 / 3),
        ({(1, 2): 0, (2, 4): 10, (4, 8): 0}, 1.0, 4.0),
        ({(1, 2): 10, (2, inf): 10}, 0.99, 2.0),
        ({(0, inf): 10}, 0.5, 0.0),
        # Cells of two servers.
        ({(0, 1): 5, (0, 2): 5, (1, 2): 10}, 0.25, 1.0),
        ({(1, 2): 10, (2, 4): 10}, 0.0, 1.0),
        ({(0, 1): 1e9, (1, 2): 1e9}, 0.75, 1.5),
        ({}, 0.5, None),
        ({(0, 1): 0, (1, inf): 0}, 0.99, None),
    ],
)
def test_the_quantiles_of_a_few_histograms(cells: Cells, rank: float, value: float | None) -> None:
    assert quantile(Histogram(cells), rank) == (None if value is None else pytest.approx(value))


@given(values=VALUES, rank=RANKS)
def test_a_quantile_is_in_the_cell_of_the_value_that_has_this_rank(values: list[float], rank: float) -> None:
    value = float(numpy.quantile(values, rank, method="inverted_cdf"))
    for cell in (exact, fine, coarse):
        found = quantile(histogram(values, cell), rank)
        lower, upper = cell(value)
        assert found is not None
        assert lower * (1 - 1e-9) <= found <= (lower if upper == inf else upper) * (1 + 1e-9)


@given(found=histograms(), ranks=st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_higher_rank_is_no_lower_value_if_cells_do_not_overlap(
    found: Histogram, ranks: list[float]
) -> None:
    apart: dict[tuple[float, float], float] = {}
    for cell in sorted(found.cells):
        if all(cell[0] >= upper for _, upper in apart):
            apart[cell] = found.cells[cell]
    values = [quantile(Histogram(apart), rank) for rank in sorted(ranks)]
    known = [value for value in values if value is not None]
    assert len(known) in {0, len(values)}
    assert all(low <= high * (1 + 1e-9) for low, high in pairwise(known))


@given(values=VALUES, times=st.sampled_from((1, 10, 1000)), rank=RANKS)
def test_the_interval_of_a_quantile_is_that_of_the_exact_values_or_wider(
    values: list[float], times: int, rank: float
) -> None:
    repeated = values * times
    ordered = sorted(repeated)

    def up_to(point: float) -> int:
        return sum(value <= point for value in ordered)

    samples = len(ordered)
    too_low = [value for value in values if rate_below(up_to(value), samples, rank) >= ENOUGH]
    high = min((value for value in values if rate_above(up_to(value), samples, rank) >= ENOUGH), default=inf)
    found = quantile_interval(histogram(repeated), rank, ALPHA)
    assert found.high == high
    # The largest value that is too low, and the next one, between which the end is.
    if too_low:
        assert max(too_low) <= found.low <= min(value for value in values if value > max(too_low))
    for cell in (fine, coarse):
        wider = quantile_interval(histogram(repeated, cell), rank, ALPHA)
        assert wider.low <= found.low
        assert wider.high >= found.high


@given(found=histograms(10**9), rank=RANKS)
def test_the_interval_of_a_quantile_is_in_order(found: Histogram, rank: float) -> None:
    interval = quantile_interval(found, rank, ALPHA)
    assert 0 <= interval.low <= interval.high


@pytest.mark.parametrize(
    ("cells", "rank", "low", "high"),
    [
        ({}, 0.5, 0, inf),
        ({(1, 2): 0}, 0.5, 0, inf),
        ({(1, 2): 1}, 0.5, 0, inf),
        # Enough samples to know that the quantile is in the cell that holds them all.
        ({(1, 2): 1e9}, 0.5, 1, 2),
        ({(1, 2): 1e9}, 0.99, 1, 2),
        ({(1, inf): 1e9}, 0.5, 1, inf),
        # Half of them are in either cell: it may be in both.
        ({(0, 1): 1e9, (1, 2): 1e9}, 0.5, 0, 2),
        # Twenty samples show nothing of a 99th percentile but that it is above the lowest ones.
        ({(1, 2): 10, (3, 4): 10}, 0.99, 3, inf),
        # Overlapping cells: at 1.5 there may be all of the first, or none.
        ({(0, 2): 1e6, (1.5, 3): 1e6}, 0.25, 0, 2),
    ],
)
def test_the_intervals_of_a_few_histograms(cells: Cells, rank: float, low: float, high: float) -> None:
    assert quantile_interval(Histogram(cells), rank, ALPHA) == Interval(low, high)


@pytest.mark.parametrize(
    ("cells", "limit", "certain", "possible"),
    [
        ({}, 1.0, 0, 0),
        ({(0, 1): 5, (1, 2): 3, (2, inf): 1}, 1.0, 4, 4),
        ({(0, 1): 5, (1, 2): 3, (2, inf): 1}, 1.5, 1, 4),
        ({(0, 1): 5, (1, 2): 3, (2, inf): 1}, 3.0, 0, 1),
        # Two servers' cells; a part of a request.
        ({(0, 2): 5, (1, 3): 0.5}, 1.0, 0.5, 5.5),
        # What is exactly 0 is not above 0, whichever way its cell is written.
        ({(-inf, 0): 5, (0, 1e-9): 2}, 0.0, 2, 2),
        ({(0, 0): 5, (0, 1e-9): 2}, 0.0, 2, 2),
    ],
)
def test_how_many_are_above_a_limit(cells: Cells, limit: float, certain: float, possible: float) -> None:
    assert share_above(Histogram(cells), limit) == (certain, possible)


@given(values=VALUES, limit=st.floats(0.001, 10))
def test_how_many_are_above_lies_between_what_is_certain_and_what_is_possible(
    values: list[float], limit: float
) -> None:
    above = sum(value > limit for value in values)
    for cell in (fine, coarse):
        certain, possible = share_above(histogram(values, cell), limit)
        assert certain <= above <= possible
    assert share_above(histogram(values), limit) == (above, above)


@given(above=histograms(), below=histograms(), rank=RANKS, factor=FACTORS)
def test_the_evidence_is_the_smallest_over_all_points(
    above: Histogram, below: Histogram, rank: float, factor: float
) -> None:
    found = Ratio(above, below, rank).evidence(factor)
    assert found == pytest.approx(by_definition(above, below, rank, factor), rel=1e-6, abs=1e-6)


@given(slow=VALUES, fast=VALUES, times=st.sampled_from((1, 30)), rank=RANKS, factor=FACTORS)
def test_what_cells_hide_never_adds_evidence(
    slow: list[float], fast: list[float], times: int, rank: float, factor: float
) -> None:
    sure = Ratio(histogram(slow * times), histogram(fast * times), rank).evidence(factor)
    for cells in ((fine, fine), (coarse, coarse), (fine, coarse), (coarse, fine), (exact, fine)):
        above, below = (
            histogram(values * times, cell) for values, cell in zip((slow, fast), cells, strict=True)
        )
        assert Ratio(above, below, rank).evidence(factor) <= sure + 1e-6


@given(above=histograms(), below=histograms(), rank=RANKS)
def test_a_larger_factor_is_less_evidence(above: Histogram, below: Histogram, rank: float) -> None:
    ratio = Ratio(above, below, rank)
    found = [ratio.evidence(factor) for factor in (0.01, 0.5, 1.0, 1.001, 1.5, 100.0)]
    assert all(more <= less + 1e-9 for less, more in pairwise(found))


@given(above=histograms(), below=histograms(), rank=RANKS)
def test_the_interval_of_a_ratio_holds_what_the_evidence_does_not_reject(
    above: Histogram, below: Histogram, rank: float
) -> None:
    found = ratio_interval(above, below, rank, ALPHA)
    assert 0 <= found.low <= found.high
    over, under = Ratio(above, below, rank), Ratio(below, above, rank)
    if found.low > 0:
        assert over.evidence(found.low) >= ENOUGH
        assert over.evidence(found.low * STEP) < ENOUGH
    if found.high < inf:
        assert under.evidence(1 / found.high) >= ENOUGH - 1e-9
        assert under.evidence(STEP / found.high) < ENOUGH


@given(above=histograms(), below=histograms(), rank=RANKS)
def test_an_interval_that_errs_less_is_wider(above: Histogram, below: Histogram, rank: float) -> None:
    often, rarely = (ratio_interval(above, below, rank, alpha) for alpha in (0.1, 0.001))
    assert rarely.low <= often.low * STEP
    assert rarely.high * STEP >= often.high


def test_without_values_every_ratio_is_possible() -> None:
    some, none = Histogram({(0.001, 0.002): 1e6}), Histogram({})
    for above, below in ((some, none), (none, some), (none, none), (Histogram({(0.0, 1.0): 0.0}), some)):
        assert ratio_interval(above, below, 0.5, ALPHA) == Interval(0.0, inf)
        assert Ratio(above, below, 0.5).evidence(1.5) <= 0


def test_one_cell_each_tells_ratios_as_finely_as_the_cells_are() -> None:
    above, below = Histogram({(0.002, 0.0021): 1e9}), Histogram({(0.001, 0.00105): 1e9})
    found = ratio_interval(above, below, 0.99, ALPHA)
    # From 0.002 / 0.00105 to 0.0021 / 0.001.
    assert 1.905 / STEP <= found.low <= 1.905
    assert 2.1 <= found.high <= 2.1 * STEP


def test_a_cell_without_an_upper_bound_may_hold_anything() -> None:
    bounded, unbounded = Histogram({(0.001, 0.002): 1e6}), Histogram({(1.0, inf): 1e6})
    slower = ratio_interval(unbounded, bounded, 0.5, ALPHA)
    assert slower.low == pytest.approx(500, rel=0.02)
    assert slower.high == inf
    assert ratio_interval(unbounded, unbounded, 0.5, ALPHA) == Interval(0.0, inf)


@pytest.mark.parametrize(("many", "few"), [(10**9, 5), (10**6, 100), (10**4, 1)])
def test_the_smaller_of_two_very_unequal_histograms_decides(many: int, few: int) -> None:
    """Values that are the same in both: however many there are of one, the other limits what is shown."""
    cells = {(0.001, 0.00105): 0.5, (0.00105, 0.0011): 0.49, (0.0011, 0.00116): 0.01}
    large, small = Histogram(cells).scaled(many), Histogram({(0.001, 0.00105): float(few)})
    for above, below in ((large, small), (small, large)):
        assert Ratio(above, below, 0.5).evidence(1.0) < ENOUGH
        assert Ratio(above, below, 0.99).evidence(1.0) < ENOUGH


def test_a_small_sample_beside_a_large_one_shows_what_it_shows_alone() -> None:
    """20 values that are ten times as slow, against a median that is known exactly."""
    large, small = Histogram({(0.001, 0.00105): 1e9}), Histogram({(0.01, 0.0105): 20.0})
    alone = rate_below(0, 20, 0.5)
    assert Ratio(small, large, 0.5).evidence(1.5) == pytest.approx(wagered(alone) + LEAST)
    assert wagered(alone) + LEAST > ENOUGH


@pytest.mark.parametrize("counts", [1e3, 1e6, 1e9, 1e15])
def test_any_number_of_values_gives_a_number(counts: float) -> None:
    above = Histogram({(0.002, 0.0021): counts, (0.0021, 0.0022): counts})
    below = Histogram({(0.001, 0.00105): counts, (0.00105, 0.0011): counts})
    assert Ratio(above, below, 0.5).evidence(1.5) == pytest.approx(wagered(MOST) + LEAST, abs=0.01)
    assert Ratio(above, below, 0.5).evidence(3.0) < 0


@pytest.mark.parametrize(("slower", "share"), [(1.0, 0.5), (1.5, 0.1)])
def test_a_canary_at_its_limit_is_rejected_no_more_often_than_promised(slower: float, share: float) -> None:
    """100 rollouts of 1,000 requests, 20 looks each; `make verdicts` has many more. `share`: that of the canary."""
    chance, rejected = numpy.random.default_rng(5), 0
    for _ in range(100):
        above: Counter[tuple[float, float]] = Counter()
        below: Counter[tuple[float, float]] = Counter()
        for _ in range(20):
            own = int(chance.binomial(50, share))
            above.update(map(fine, chance.lognormal(log(0.002 * slower), 0.4, own)))
            below.update(map(fine, chance.lognormal(log(0.002), 0.4, 50 - own)))
            if Ratio(Histogram(above), Histogram(below), 0.5).evidence(slower) >= ENOUGH:
                rejected += 1
                break
    # 2.5 % of 100, and five standard deviations.
    assert rejected <= 2.5 + 5 * 2.5**0.5


def test_twice_as_slow_is_found_and_how_many_values_it_takes_is_told() -> None:
    chance = numpy.random.default_rng(3)
    slow, fast = (
        histogram([float(value) for value in chance.lognormal(log(median), 0.4, 1000)], fine)
        for median in (0.004, 0.002)
    )
    assert Ratio(slow, fast, 0.5).evidence(1.5) > ENOUGH
    needed = samples_needed(slow, fast, 0.99, 1.5, ALPHA)
    assert needed is not None
    assert 1000 <= needed <= 20_000

    def decided(times: float) -> bool:
        return Ratio(slow.scaled(times), fast.scaled(times), 0.99).evidence(1.5) >= ENOUGH

    assert decided(needed / 1000)
    assert needed == 1000 or not decided(needed / 1000 * 0.96)


def test_the_smaller_histogram_is_the_one_that_has_to_grow() -> None:
    slow, fast = Histogram({(0.002, 0.0021): 10.0}), Histogram({(0.001, 0.00105): 1000.0})
    needed = samples_needed(slow, fast, 0.5, 1.5, 1e-9)
    assert needed is not None
    assert 10 < needed < 1000


def test_what_cannot_be_told_apart_needs_more_values_than_there_will_be() -> None:
    same = Histogram({(0.001, 0.00105): 1000.0})
    assert samples_needed(same, same, 0.5, 1.0, ALPHA) is None
    assert samples_needed(same, Histogram({}), 0.5, 1.5, ALPHA) is None
    # The limit lies within the cells.
    slow = Histogram({(0.0015, 0.001575): 1000.0})
    assert samples_needed(slow, same, 0.5, 1.5, ALPHA) is None
