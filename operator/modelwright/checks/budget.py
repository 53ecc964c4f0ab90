"""How the false-alarm budget of a rollout is divided. Pure.

The budget is the probability that any check fails at any look of the whole rollout although what it tests is within its
limit. A rollout measures several times, each time from nothing: at each step, at a step that begins again, and while
the revision bakes. Measurement j, counted from 1, gets the share 1 / (j (j + 1)) of the budget. These shares sum up to
1 - 1 / (j + 1), so the budget holds without knowing how many measurements there will be. Within a measurement each
check that is a test gets the same share. By the union bound the probabilities add up to at most the budget.
"""

from __future__ import annotations


def measurement_alpha(budget: float, measurement: int) -> float:
    """Returns the share of the budget for all checks of a measurement. `measurement`: its number, from 1."""
    return budget / (measurement * (measurement + 1))


def check_alpha(budget: float, measurement: int, checks: int) -> float:
    """Returns the probability with which one of so many checks of a measurement may raise a false alarm."""
    return measurement_alpha(budget, measurement) / max(1, checks)
