"""Whole rollouts: the steps of docs/rollouts.md and a bake, with all checks and the budget that the product divides.

Checks are drawn independently of each other, which gives the most false alarms that their shares of the budget allow.
For each check of each measurement the first number of samples that fails is looked for, at more numbers than a rollout
looks at. So one simulation gives an upper bound for every rate of requests and every hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.api.inferenceservice import Analysis
from modelwright.checks import budget
from modelwright.checks.verdict import Demands
from verdicts import counted, timed
from verdicts.counted import NEVER
from verdicts.looks import GROWTH, Chance, Counts, thinned

BUDGET = Analysis().false_alarm_rate
MIN_SAMPLES, MIN_FAILURES = Analysis().min_samples, Analysis().min_failures
LIMIT, LEAST_AGREEMENT, INCREASE, NON_FINITE = 0.01, 0.95, 0.5, 0.001


@dataclass(frozen=True)
class Step:
    """A measurement. `weight`, `mirror`: shares of the requests, as in the spec but from 0 to 1."""

    number: int
    weight: float
    mirror: float

    @property
    def tests(self) -> int:
        """How many checks share its part of the budget: error rate, p99, p50, agreement, difference, finite answers."""
        return 1 if self.weight == 1 else 6

    @property
    def demands(self) -> Demands:
        return Demands(budget.check_alpha(BUDGET, self.number, self.tests), MIN_SAMPLES, MIN_FAILURES)

    @property
    def compared(self) -> float:
        """The share of all requests that both revisions answer for comparison."""
        return (1 - self.weight) * self.mirror

    @property
    def canary(self) -> float:
        """The share of all requests that the canary answers."""
        return self.weight + self.compared

    @property
    def stable(self) -> float:
        return 1 - self.weight


STEPS = (Step(1, 0.0, 0.5), Step(2, 0.05, 0.5), Step(3, 0.5, 0.5), Step(4, 1.0, 0.0))


@dataclass(frozen=True)
class Found:
    """For each rollout the least number of requests, callers' to both revisions, with which a check has failed."""

    step: Step
    check: str
    requests: NDArray[np.float64]


def sizes(most: float, growth: float) -> Counts:
    """Numbers of samples, from 1 on, each a bit larger than the one before."""
    dense = np.arange(1, int(2 / (growth - 1)))
    count = int(np.log(most / dense[-1]) / np.log(growth)) + 1 if most > dense[-1] else 0
    wide = dense[-1] * growth ** np.arange(1, count + 1)
    return thinned(np.unique(np.concatenate([dense, np.floor(wide).astype(np.int64)])), 1.0)


def rates_of(chance: Chance, step: Step, harm: float, rollouts: int, most: float) -> Iterator[Found]:
    """The checks of rates. `harm`: the true rates, as a share of their limits. `most`: of the requests of a step."""
    demands = step.demands
    checks = {
        "error rate": (step.canary, LIMIT, counted.error_rate(LIMIT, demands)),
        "agreement": (step.compared, 1 - LEAST_AGREEMENT, counted.agreement(LEAST_AGREEMENT, demands)),
        "difference": (step.compared, LIMIT, counted.error_rate(LIMIT, demands)),
        "finite answers": (step.compared, NON_FINITE, counted.error_rate(NON_FINITE, demands)),
    }
    for name, (part, limit, fails) in checks.items():
        if part:
            samples = sizes(most * part, GROWTH)
            bounds = {name: counted.fewest(fails, samples)}
            first = counted.first_failures(counted.hits_at(chance, harm * limit), samples, bounds, rollouts)[
                name
            ]
            yield Found(step, name, np.where(first == NEVER, np.inf, first / part))


def durations_of(
    chance: Chance, step: Step, shape: timed.Shape, slower: float, rollouts: int, most: float
) -> Iterator[Found]:
    """The checks of durations. `slower`: how many times as long the canary takes. `most`: of the requests of a step."""
    if step.weight == 1:
        return
    canary, stable = timed.Durations.of(shape(0.002 * slower)), timed.Durations.of(shape(0.002))
    requests = sizes(most, 1.15)
    both = (
        np.floor(requests * step.canary).astype(np.int64),
        np.floor(requests * step.stable).astype(np.int64),
    )
    percentiles = {
        name: (timed.Percentile(canary, stable, rank, 1 + INCREASE), step.demands.alpha)
        for name, rank in (("p99", 0.99), ("p50", 0.5))
    }
    for name, look in timed.first_failures(chance, percentiles, both, rollouts).items():
        yield Found(step, name, np.where(look == NEVER, np.inf, requests[look]))


def failed(found: list[Found], rate: float, hold: float) -> NDArray[np.bool_]:
    """Which rollouts fail if each step and the bake last so many seconds, at so many requests a second."""
    return np.asarray(np.any([each.requests <= rate * hold for each in found], axis=0))
