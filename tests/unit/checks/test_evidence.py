"""Evidence about a rate: its numbers, and that it errs as rarely as it says, however often somebody looks."""

from __future__ import annotations

from decimal import Decimal, localcontext
from itertools import pairwise
from math import comb, exp, inf, log

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.checks.evidence import (
    FARTHEST,
    POINTS,
    Interval,
    rate_above,
    rate_below,
    rate_interval,
    samples_needed,
    times_needed,
)

ALPHA = 0.025
LIMITS = st.floats(1e-6, 1 - 1e-6)


@st.composite
def counted(draw: st.DrawFn, most: int = 10**9) -> tuple[float, float]:
    """A number of samples, and their sum, which may be a fraction."""
    samples = draw(st.integers(1, most))
    return draw(st.one_of(st.integers(0, samples).map(float), st.floats(0, samples))), float(samples)


def exactly(hits: float, samples: float, limit: float) -> float:
    """The same mixture, with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        roots = [(Decimal(point) + Decimal("0.5")) / POINTS for point in range(POINTS)]
        weights = [root * root.sqrt().sqrt() for root in roots]
        bound, yes, no = Decimal(limit), Decimal(hits), Decimal(samples) - Decimal(hits)
        terms = []
        for root, weight in zip(roots, weights, strict=True):
            rate = bound ** (1 - root * root.sqrt())
            ratio = yes * (rate / bound).ln() + no * ((1 - rate) / (1 - bound)).ln()
            terms.append((weight / sum(weights)).ln() + ratio)
        largest = max(terms)
        return float(largest + sum(((term - largest).exp() for term in terms), Decimal(0)).ln())


def without_gaps(hits: float, samples: float, limit: float) -> float:
    """The integral over all alternatives: those of which the mixture has only some."""
    places = (numpy.arange(100_000) + 0.5) / 100_000
    misses = samples - hits
    logs = -hits * places * log(limit) + misses * (
        numpy.log1p(-(limit ** (1 - places))) - numpy.log1p(-limit)
    )
    return float(logs.max() + log((1.5 * numpy.sqrt(places) * numpy.exp(logs - logs.max())).mean()))


@pytest.mark.parametrize(
    ("hits", "samples", "limit", "evidence"),
    [
        (0, 10, 0.01, -1.2050),
        (1, 1, 0.01, 3.3425),
        (2, 2, 0.01, 7.3200),
        (3, 10, 0.01, 6.6882),
        (5, 100, 0.01, 2.5373),
        (6, 100, 0.01, 4.2569),
        (2.5, 10, 0.05, 1.4763),
        (60, 100, 0.5, 0.4555),
        (1000, 1000, 0.99, 8.0755),
        (10, 1000, 0.01, -3.7195),
    ],
)
def test_the_evidence_of_a_few_numbers(hits: float, samples: float, limit: float, evidence: float) -> None:
    assert rate_above(hits, samples, limit) == pytest.approx(evidence, abs=1e-4)
    assert exactly(hits, samples, limit) == pytest.approx(evidence, abs=1e-4)


@pytest.mark.parametrize("limit", [1e-12, 1e-6, 0.01, 0.05, 0.5, 0.99, 1 - 1e-9, 1 - 2**-50])
@pytest.mark.parametrize("samples", [1, 17, 1000, 10**9])
@pytest.mark.parametrize("share", [0.0, 1e-9, 0.0104, 0.5, 0.9999, 1.0])
def test_the_evidence_is_exact_for_few_samples_and_for_many(
    limit: float, samples: float, share: float
) -> None:
    hits = samples * share
    assert rate_above(hits, samples, limit) == pytest.approx(
        exactly(hits, samples, limit), rel=1e-9, abs=1e-6
    )


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.05, 0.5, 0.99])
@pytest.mark.parametrize(
    ("samples", "error"), [(10, 0.01), (100, 0.01), (1000, 0.01), (10_000, 0.01), (1_000_000, 0.06)]
)
def test_the_alternatives_stand_for_all_that_lie_between_them(
    limit: float, samples: int, error: float
) -> None:
    for times in (1.0, 1.2, 1.5, 2.0, 5.0):
        hits = round(limit * samples * times)
        dense = without_gaps(hits, samples, limit)
        # Where it is decided, and beyond.
        if dense > 1 and hits < samples / 2:
            assert rate_above(hits, samples, limit) == pytest.approx(dense, rel=error)


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.3, 0.99])
@pytest.mark.parametrize("samples", [1, 2, 10, 100])
def test_on_average_a_rate_at_its_limit_gains_nothing_and_one_below_it_loses(
    limit: float, samples: int
) -> None:
    def mean(rate: float) -> float:
        return sum(
            comb(samples, hits)
            * rate**hits
            * (1 - rate) ** (samples - hits)
            * exp(rate_above(hits, samples, limit))
            for hits in range(samples + 1)
        )

    assert mean(limit) == pytest.approx(1, rel=1e-9)
    assert mean(0.9 * limit) < 1
    assert mean(0.5 * limit) < mean(0.9 * limit)


def ever_rejected(rate: float, limit: float, alpha: float, looks: int) -> float:
    """The probability that a look after any of so many samples rejects the limit. Exact: by all paths at once."""
    enough = log(1 / alpha)
    alive, rejected = numpy.zeros(looks + 2), 0.0
    alive[0] = 1.0
    fewest = 0
    for samples in range(1, looks + 1):
        alive[1:] = alive[1:] * (1 - rate) + alive[:-1] * rate
        alive[0] *= 1 - rate
        while fewest <= samples and rate_above(fewest, samples, limit) < enough:
            fewest += 1
        rejected += float(alive[fewest:].sum())
        alive[fewest:] = 0.0
    return rejected


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.001])
@pytest.mark.parametrize("limit", [0.01, 0.05, 0.5, 0.99])
def test_a_look_after_every_sample_errs_no_more_often_than_it_says(limit: float, alpha: float) -> None:
    at_limit = ever_rejected(limit, limit, alpha, 3000)
    assert 0.01 * alpha < at_limit <= alpha
    assert ever_rejected(0.8 * limit, limit, alpha, 3000) < at_limit


def test_what_is_beyond_the_limit_is_found_in_the_end() -> None:
    assert ever_rejected(0.05, 0.01, ALPHA, 1000) > 0.999
    assert ever_rejected(0.02, 0.01, ALPHA, 3000) > 0.8


def rejections(hits: numpy.ndarray, limit: float) -> float:
    """The share of rows (their sums after each sample) in which a look after any sample rejects the limit.

    Whether a sum is enough is found between the least sum that is and the most that is not, after each sample.
    """
    enough = log(1 / ALPHA)
    ever = numpy.zeros(len(hits), dtype=bool)
    for samples in range(1, hits.shape[1] + 1):
        low, high = 0.0, float(samples)
        if rate_above(high, samples, limit) < enough:
            continue
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if rate_above(middle, samples, limit) >= enough else (middle, high)
        ever |= hits[:, samples - 1] >= high
    return float(ever.mean())


@pytest.mark.parametrize("spread", [0.01, 1.0, 100.0])
def test_samples_between_0_and_1_err_no_more_often(spread: float) -> None:
    """`spread`: from nearly all or nothing of a request's labels to nearly the same share in each request."""
    limit, chance = 0.05, numpy.random.default_rng(7)
    shares = chance.beta(limit * spread, (1 - limit) * spread, size=(4000, 500))
    # Five standard deviations above 2.5 % of 4,000.
    assert rejections(shares.cumsum(axis=1), limit) < ALPHA + 5 * (ALPHA / 4000) ** 0.5


def test_samples_that_depend_on_those_before_err_no_more_often() -> None:
    """The rate is at its limit while this looks bad, and 0 else: the worst that stays within the hypothesis."""
    limit, chance = 0.05, numpy.random.default_rng(11)
    hits = numpy.zeros((4000, 500))
    total = numpy.zeros(4000)
    for sample in range(500):
        bad = total >= limit * sample
        total += (chance.random(4000) < limit) & bad
        hits[:, sample] = total
    assert rejections(hits, limit) < ALPHA + 5 * (ALPHA / 4000) ** 0.5


@given(counts=counted(), limit=LIMITS, more=st.floats(0, 1))
def test_more_hits_are_more_evidence(counts: tuple[float, float], limit: float, more: float) -> None:
    hits, samples = counts
    before, after = (
        rate_above(hits, samples, limit),
        rate_above(hits + more * (samples - hits), samples, limit),
    )
    assert after >= before - 1e-9 * abs(before) - 1e-9


@given(counts=counted(), limits=st.tuples(LIMITS, LIMITS))
def test_a_higher_limit_is_less_evidence(counts: tuple[float, float], limits: tuple[float, float]) -> None:
    hits, samples = counts
    at_low, at_high = (rate_above(hits, samples, limit) for limit in sorted(limits))
    assert at_high <= at_low + 1e-9 * abs(at_low) + 1e-6


@given(counts=counted(10**6), limit=LIMITS)
def test_below_is_above_seen_from_the_other_side(counts: tuple[float, float], limit: float) -> None:
    hits, samples = counts
    assert rate_below(hits, samples, limit) == rate_above(samples - hits, samples, 1 - limit)
    # Of both sides only one can be shown.
    assert min(rate_below(hits, samples, limit), rate_above(hits, samples, limit)) <= 1e-9


@pytest.mark.parametrize(
    ("hits", "samples", "limit", "evidence"),
    [
        # Nothing exceeds a limit of 1.
        (10, 10, 1.0, 0.0),
        # One failure, or a part of one, exceeds a limit of 0.
        (0, 10**9, 0.0, 0.0),
        (1, 10**9, 0.0, inf),
        (1e-9, 1, 0.0, inf),
        # No samples show nothing.
        (0, 0, 0.0, 0.0),
        (0, 0, 0.01, 0.0),
        (0, 0, 1.0, 0.0),
    ],
)
def test_at_the_ends(hits: float, samples: float, limit: float, evidence: float) -> None:
    assert rate_above(hits, samples, limit) == evidence
    assert rate_below(samples - hits, samples, 1 - limit) == evidence


@pytest.mark.parametrize("limit", [1e-100, 1e-17, 1 - 2**-53])
def test_limits_next_to_the_ends_are_numbers_like_others(limit: float) -> None:
    for hits, samples in ((0, 1), (1, 1), (0, 10**9), (1, 10**9)):
        assert rate_above(hits, samples, limit) == pytest.approx(
            exactly(hits, samples, limit), rel=1e-9, abs=1e-6
        )
        assert rate_below(hits, samples, limit) <= inf


def test_the_smallest_limit_of_all_is_as_good_as_0() -> None:
    assert rate_above(0, 10**9, 5e-324) == pytest.approx(0, abs=0.01)
    assert 700 < rate_above(1, 10**9, 5e-324) < 745


def test_a_sum_that_is_rounded_past_its_number_of_samples_is_no_error() -> None:
    assert rate_above(3 + 1e-12, 3, 0.01) == pytest.approx(rate_above(3, 3, 0.01))
    assert rate_interval(3 + 1e-12, 3, ALPHA).high == 1
    assert rate_interval(-1e-12, 3, ALPHA).low == 0


@pytest.mark.parametrize(
    ("hits", "samples", "low", "high"),
    # By bisection over `without_gaps`, but for the one with 10**7 hits: there gaps cost 0.5 % of the lower end.
    [
        (0, 0, 0, 1),
        (0, 1, 0, 1),
        (1, 1, 0, 1),
        (0, 10, 0, 0.3946),
        (0, 100, 0, 0.0490),
        (5, 100, 0.0076, 0.1428),
        (50, 100, 0.3416, 0.6584),
        (10, 1000, 0.00261, 0.0229),
        (10**7, 10**9, 0.00993, 0.01002),
        (10**9, 10**9, 1 - 5.0e-9, 1),
    ],
)
def test_the_intervals_of_a_few_numbers(hits: float, samples: float, low: float, high: float) -> None:
    found = rate_interval(hits, samples, ALPHA)
    assert [found.low, found.high] == pytest.approx([low, high], rel=0.05, abs=1e-12)


@given(counts=counted(), alpha=st.floats(1e-6, 0.5))
def test_the_ends_of_an_interval_are_where_the_evidence_is_enough(
    counts: tuple[float, float], alpha: float
) -> None:
    hits, samples = counts
    enough, observed = log(1 / alpha), hits / samples
    found = rate_interval(hits, samples, alpha)
    assert 0 <= found.low <= observed <= found.high <= 1
    if found.low > 0:
        assert rate_above(hits, samples, found.low) >= enough * (1 - 1e-9)
    if found.high < 1:
        assert rate_below(hits, samples, found.high) >= enough * (1 - 1e-9) - 1e-6
    # A hundredth nearer to what was observed, nothing is rejected any more. Differences of less than a float can have
    # aside.
    if observed - found.low > 1e-9:
        assert rate_above(hits, samples, found.low + 0.011 * (observed - found.low)) < enough + 1e-6
    if found.high - observed > 1e-9:
        assert rate_below(hits, samples, found.high - 0.011 * (found.high - observed)) < enough + 1e-6


@given(counts=counted(10**6))
def test_an_interval_that_errs_less_is_wider(counts: tuple[float, float]) -> None:
    by_alpha = [rate_interval(*counts, alpha) for alpha in (0.1, 0.01, 0.001)]
    for often, rarely in pairwise(by_alpha):
        assert rarely.low <= often.low * 1.011
        assert 1 - rarely.high <= (1 - often.high) * 1.011


def test_without_samples_every_rate_is_possible() -> None:
    assert rate_interval(0, 0, ALPHA) == Interval(0.0, 1.0)


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.95])
@pytest.mark.parametrize("share", [0.0, 0.002, 0.04, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("samples", [7, 100, 101])
def test_so_many_samples_decide_and_far_fewer_do_not(limit: float, share: float, samples: int) -> None:
    enough = log(1 / ALPHA)

    def decided(number: float) -> bool:
        return (
            max(rate_above(share * number, number, limit), rate_below(share * number, number, limit))
            >= enough
        )

    needed = samples_needed(share * samples, samples, limit, ALPHA)
    assert needed is not None
    assert needed >= samples
    assert decided(needed)
    assert needed == samples or not decided(0.97 * needed - 1)


def test_what_is_decided_needs_no_more_samples() -> None:
    assert [samples_needed(number, number, 0.01, ALPHA) for number in (99, 100, 101)] == [99, 100, 101]


def test_a_rate_at_its_limit_needs_more_samples_than_there_will_be() -> None:
    assert samples_needed(1, 100, 0.01, ALPHA) is None
    assert samples_needed(0, 0, 0.01, ALPHA) is None
    assert samples_needed(0, 10, 0.0, ALPHA) is None
    assert samples_needed(10, 10, 1.0, ALPHA) is None


def test_growth_is_looked_for_only_so_far() -> None:
    assert times_needed(lambda factor: factor, 1000.0) == pytest.approx(1000, rel=0.02)
    assert times_needed(lambda factor: factor, 1.0) == 1
    assert times_needed(lambda factor: factor, 10 * FARTHEST) is None
    assert times_needed(lambda _: 0.0, 1.0) is None
