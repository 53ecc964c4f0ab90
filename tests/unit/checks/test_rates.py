"""The checks of rates, case by case: what fails, what passes, and what is not known yet."""

from __future__ import annotations

import pytest

from modelwright.checks.evidence import Interval
from modelwright.checks.quantiles import Cells, Histogram
from modelwright.checks.rates import ERROR_RATE, agreement, difference, non_finite, rate_verdict
from modelwright.checks.verdict import Demands, Verdict

DEMANDS = Demands(alpha=0.025, min_samples=100, min_failures=3)
Row = tuple[str, str]
FEW = ("Inconclusive", "TooFewSamples")


def row(verdict: Verdict) -> Row:
    return verdict.result, verdict.reason


@pytest.mark.parametrize(
    ("faults", "requests", "limit", "expected"),
    [
        (0, 0, 0.01, FEW),
        (0, 99, 0.01, FEW),
        (0, 100, 0.01, ("Pass", "ErrorRateWithinLimit")),
        (1, 100, 0.01, ("Pass", "ErrorRateWithinLimit")),
        (2, 100, 0.01, ("Inconclusive", "ErrorRateUnclear")),
        # A few failures at the start prove little, and the first ones nothing at all.
        (1, 1, 0.01, FEW),
        (2, 2, 0.01, FEW),
        (3, 3, 0.01, ("Fail", "ErrorRateTooHigh")),
        (3, 100, 0.01, ("Inconclusive", "ErrorRateUnclear")),
        (5, 100, 0.01, ("Inconclusive", "ErrorRateUnclear")),
        (8, 100, 0.01, ("Fail", "ErrorRateTooHigh")),
        (110, 10_000, 0.01, ("Inconclusive", "ErrorRateUnclear")),
        (1_500, 100_000, 0.01, ("Fail", "ErrorRateTooHigh")),
        # No failure is allowed: it still takes three.
        (2, 1_000, 0.0, ("Inconclusive", "ErrorRateUnclear")),
        (3, 1_000, 0.0, ("Fail", "ErrorRateTooHigh")),
        # All may fail.
        (100, 100, 1.0, ("Pass", "ErrorRateWithinLimit")),
        (10**12, 10**15 + 10**12, 0.01, ("Pass", "ErrorRateWithinLimit")),
    ],
)
def test_error_rate(faults: int, requests: int, limit: float, expected: Row) -> None:
    found = rate_verdict(ERROR_RATE, faults, requests, limit, DEMANDS)
    assert row(found) == expected
    assert (found.metric, found.threshold, found.samples) == ("errorRate", limit, requests)
    assert found.value == pytest.approx(faults / requests if requests else 0.0)
    assert found.beyond == (found.reason == "ErrorRateUnclear")


@pytest.mark.parametrize(
    ("faults", "bar", "expected", "threshold"),
    [
        (300, 0.001, ("Fail", "ErrorRateTooHigh"), 0.01),
        (300, 0.025, ("Inconclusive", "ErrorRateUnclear"), 0.025),
        (300, 0.02, ("Fail", "ErrorRateTooHigh"), 0.02),
        (100, 0.05, ("Pass", "ErrorRateWithinLimit"), 0.01),
    ],
)
def test_a_bar_above_the_limit_has_to_be_exceeded_to_fail_and_the_limit_kept_to_pass(
    faults: int, bar: float, expected: Row, threshold: float
) -> None:
    found = rate_verdict(ERROR_RATE, faults, 10_000, 0.01, DEMANDS, fails_above=bar)
    assert (row(found), found.threshold) == (expected, threshold)


@pytest.mark.parametrize(
    ("faults", "requests"), [(0, 50), (2, 100), (3, 3), (8, 100), (110, 10_000), (1_500, 100_000)]
)
def test_a_rate_fails_exactly_if_its_interval_is_above_the_limit(faults: int, requests: int) -> None:
    found = rate_verdict(ERROR_RATE, faults, requests, 0.01, DEMANDS).detailed()
    assert found.interval is not None
    assert found.interval.low <= faults / requests <= found.interval.high
    assert (found.result == "Fail") == (found.interval.low > 0.01)


@pytest.mark.parametrize(
    ("faults", "requests", "needed"), [(0, 50, 100), (2, 100, None), (12, 1_000, None), (110, 10_000, None)]
)
def test_how_many_samples_would_decide(faults: int, requests: int, needed: int | None) -> None:
    found = rate_verdict(ERROR_RATE, faults, requests, 0.01, DEMANDS).detailed()
    if needed is not None:
        assert found.samples_needed == needed
        return
    assert found.samples_needed is not None
    times = found.samples_needed / requests
    assert times > 1
    later = rate_verdict(ERROR_RATE, faults * times, found.samples_needed, 0.01, DEMANDS)
    assert later.result == "Fail"


@pytest.mark.parametrize(
    ("agreeing", "requests", "least", "expected"),
    [
        (0.0, 0, 0.95, FEW),
        # One label, or one request, proves nothing.
        (0.0, 1, 0.95, FEW),
        (0.0, 2, 0.95, FEW),
        (0.0, 3, 0.95, ("Fail", "AnswersDiffer")),
        (99.0, 99, 0.95, FEW),
        (95.0, 100, 0.95, ("Pass", "AnswersAgree")),
        (94.5, 100, 0.95, ("Inconclusive", "AgreementUnclear")),
        (94.0, 100, 0.95, ("Inconclusive", "AgreementUnclear")),
        (50.0, 100, 0.95, ("Fail", "AnswersDiffer")),
        # Requests of many rows: 7 % of the labels of each differ.
        (9_300.0, 10_000, 0.95, ("Fail", "AnswersDiffer")),
        (998.0, 1_000, 1.0, ("Inconclusive", "AgreementUnclear")),
        (997.0, 1_000, 1.0, ("Fail", "AnswersDiffer")),
        (0.0, 1_000, 0.0, ("Pass", "AnswersAgree")),
        (100.00000000000001, 100, 0.95, ("Pass", "AnswersAgree")),
    ],
)
def test_agreement(agreeing: float, requests: int, least: float, expected: Row) -> None:
    found = agreement(agreeing, requests, least, DEMANDS)
    assert row(found) == expected
    assert (found.metric, found.threshold, found.samples) == ("agreement", least, requests)
    assert found.beyond == (found.reason == "AgreementUnclear")


def test_the_interval_of_the_agreement_is_one_of_agreement() -> None:
    found = agreement(50.0, 100, 0.95, DEMANDS).detailed()
    assert (found.value, found.result) == (0.5, "Fail")
    assert found.interval is not None
    assert 0.3 < found.interval.low < 0.5 < found.interval.high < 0.7


NEAR, AT, FAR = (0.019, 0.02), (0.0995, 0.1005), (0.49, 0.5)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, FEW),
        ({NEAR: 99.0}, FEW),
        ({NEAR: 100.0}, ("Pass", "NumbersAgree")),
        ({(0.0, 0.0): 100.0}, ("Pass", "NumbersAgree")),
        ({NEAR: 99.0, FAR: 1.0}, ("Pass", "NumbersAgree")),
        ({NEAR: 98.0, FAR: 2.0}, ("Inconclusive", "DifferenceUnclear")),
        ({FAR: 2.0}, FEW),
        ({FAR: 3.0}, ("Fail", "NumbersDiffer")),
        ({NEAR: 90.0, FAR: 10.0}, ("Fail", "NumbersDiffer")),
        # What is in the cell of the limit counts for neither side.
        ({AT: 1_000.0}, ("Inconclusive", "DifferenceUnclear")),
        ({NEAR: 995.0, AT: 5.0}, ("Pass", "NumbersAgree")),
    ],
)
def test_difference(cells: Cells, expected: Row) -> None:
    found = difference(Histogram(cells), 0.1, DEMANDS)
    assert row(found) == expected
    assert (found.metric, found.threshold, found.samples) == ("difference", 0.1, sum(cells.values()))


def test_differences_are_told_in_their_own_unit() -> None:
    found = difference(Histogram({NEAR: 900.0, FAR: 100.0}), 0.1, DEMANDS).detailed()
    assert found.value == pytest.approx(0.499, abs=0.001)
    assert found.interval == Interval(0.49, 0.5)


def test_equal_numbers_are_within_a_limit_of_zero() -> None:
    assert difference(Histogram({(0.0, 0.0): 100.0}), 0.0, DEMANDS).result == "Pass"
    assert difference(Histogram({(0.0, 1e-9): 100.0}), 0.0, DEMANDS).result == "Fail"


@pytest.mark.parametrize(
    ("requests", "compared", "expected"),
    [
        (0, 0, ("Pass", "AnswersFinite")),
        (0, 5, ("Pass", "AnswersFinite")),
        (1, 5, ("Inconclusive", "NonFiniteUnclear")),
        (1, 999, ("Inconclusive", "NonFiniteUnclear")),
        (1, 1_000, ("Pass", "AnswersFinite")),
        (2, 2, ("Inconclusive", "NonFiniteUnclear")),
        (3, 10, ("Fail", "NonFiniteAnswers")),
        (3, 3_000, ("Pass", "AnswersFinite")),
    ],
)
def test_non_finite(requests: int, compared: int, expected: Row) -> None:
    found = non_finite(requests, compared, DEMANDS)
    assert row(found) == expected
    assert (found.metric, found.threshold, found.samples) == ("nonFinite", 0.001, compared)
