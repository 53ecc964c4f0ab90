"""The parts of a rollout's budget of false alarms, case by case."""

from __future__ import annotations

import pytest

from modelwright.checks.budget import check_alpha, measurement_alpha


@pytest.mark.parametrize(
    ("budget", "measurement", "checks", "alpha"),
    [
        (0.05, 1, 1, 0.025),
        (0.05, 2, 1, 0.05 / 6),
        (0.05, 3, 1, 0.05 / 12),
        (0.05, 1, 2, 0.0125),
        (0.05, 2, 5, 0.05 / 30),
        (0.2, 1, 1, 0.1),
        (0.05, 1, 0, 0.025),
    ],
)
def test_budget(budget: float, measurement: int, checks: int, alpha: float) -> None:
    assert check_alpha(budget, measurement, checks) == pytest.approx(alpha)


def test_the_parts_of_all_measurements_are_never_more_than_the_budget() -> None:
    parts = [measurement_alpha(0.05, number) for number in range(1, 10_001)]
    assert 0.04999 < sum(parts) <= 0.05
    assert all(
        sum([check_alpha(0.05, number, 5)] * 5) <= part + 1e-12 for number, part in enumerate(parts, 1)
    )
