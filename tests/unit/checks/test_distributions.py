"""Tails and quantiles are those of scipy, from the middle to far out."""

from __future__ import annotations

import pytest
from scipy import stats

from modelwright.checks.distributions import (
    chi_square_quantile,
    chi_square_tail,
    normal_quantile,
)

DEGREES = (1, 2, 3, 9, 30, 49, 200, 1000)
TAILS = (0.999, 0.9, 0.5, 0.1, 1e-2, 1e-3, 1e-5, 1e-7, 1e-10, 1e-13)


@pytest.mark.parametrize("degrees", DEGREES)
def test_the_tail_of_chi_square(degrees: int) -> None:
    for times in (0.001, 0.1, 0.5, 0.9, 1, 1.1, 1.5, 3, 10, 40):
        value = degrees * times
        expected = stats.chi2.sf(value, degrees)
        assert chi_square_tail(value, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-280)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("tail", TAILS)
def test_the_quantile_of_chi_square(degrees: int, tail: float) -> None:
    assert chi_square_quantile(tail, degrees) == pytest.approx(stats.chi2.isf(tail, degrees), rel=1e-9)


@pytest.mark.parametrize("tail", TAILS)
def test_the_normal_distribution(tail: float) -> None:
    deviation = normal_quantile(tail)
    assert deviation == pytest.approx(stats.norm.isf(tail), rel=1e-9, abs=1e-12)


def test_nothing_is_below_nothing() -> None:
    assert chi_square_tail(0.0, 3) == chi_square_tail(-1.0, 3) == 1.0


@pytest.mark.parametrize("tail", [0.0, 1.0, -0.1, 1.1])
def test_a_quantile_is_of_a_tail_between_0_and_1(tail: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        normal_quantile(tail)
    with pytest.raises(ValueError, match="between 0 and 1"):
        chi_square_quantile(tail, 3)
