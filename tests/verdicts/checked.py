"""Holds the simulation to the product's own judge: both decide the same rollouts, look by look."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log

import numpy as np

from modelwright.api.inferenceservice import Analysis
from modelwright.inferenceservice.analysis import judge
from modelwright.inferenceservice.analysis.counts import StepCounts
from verdicts import counted, timed, whole
from verdicts.looks import Chance, Counts

ANALYSIS = Analysis(
    max_error_rate=whole.LIMIT,
    max_p99_increase=whole.INCREASE,
    max_p50_increase=whole.INCREASE,
    min_agreement=whole.LEAST_AGREEMENT,
    max_difference=0.5,
    min_samples=whole.MIN_SAMPLES,
    min_failures=whole.MIN_FAILURES,
    false_alarm_rate=whole.BUDGET,
)
SMALL, LARGE = (0.1, 0.105), (0.9, 0.945)
LOOKS = 20
# Of each compared request.
ROWS = 100


@dataclass
class Drawn:
    """The counts of one step of one rollout, as the pods would have counted them."""

    answered: int = 0
    failed: int = 0
    compared: int = 0
    differing: float = 0.0
    apart: int = 0
    non_finite: int = 0
    canary: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    stable: Counts = field(default_factory=lambda: np.zeros(0, np.int64))

    def counts(self, canary: timed.Durations, stable: timed.Durations) -> StepCounts:
        """In the form that the judge takes."""
        return StepCounts(
            since="",
            delegated={"Answered": self.answered - self.failed, "Failed": self.failed},
            shadowed={"Compared": self.compared},
            labelled=self.compared,
            agreement=self.compared - self.differing,
            non_finite=self.non_finite,
            differences={SMALL: float(self.compared - self.apart), LARGE: float(self.apart)},
            canary_durations=canary.cells(self.canary),
            stable_durations=stable.cells(self.stable),
        )


def compared_rollout(chance: Chance) -> tuple[int, int]:
    """Lives through one rollout. Returns how many verdicts there were and how many of them failed.

    Raises AssertionError if the simulation decides differently. The rates are between a half and four times their
    limits, so that many verdicts are near their bounds.
    """
    harm, slower = chance.choice([0.5, 1.0, 2.0, 4.0]), chance.choice([1.0, 1.5, 2.0])
    canary, stable = (timed.Durations.of(timed.lognormal(0.002 * times, 0.3)) for times in (slower, 1.0))
    verdicts = failures = 0
    for step in whole.STEPS[:-1]:
        drawn = Drawn(
            canary=np.zeros(len(canary.upper), np.int64), stable=np.zeros(len(stable.upper), np.int64)
        )
        for _ in range(LOOKS):
            _grow(chance, drawn, harm, (canary, stable))
            found = judge.checks(
                ANALYSIS, drawn.counts(canary, stable), judge.Measurement(number=step.number, mirrors=True)
            )
            ours = simulated(step, drawn, (canary, stable))
            theirs = {verdict.metric: verdict.result == "Fail" for verdict in found}
            assert theirs == ours, (step, drawn, theirs, ours)
            verdicts, failures = verdicts + len(ours), failures + sum(ours.values())
    return verdicts, failures


def simulated(
    step: whole.Step, drawn: Drawn, durations: tuple[timed.Durations, timed.Durations]
) -> dict[str, bool]:
    """Which checks fail, as the simulation decides it."""
    demands = step.demands
    requests = drawn.answered + drawn.compared
    cases = {
        "errorRate": (counted.error_rate(whole.LIMIT, demands), drawn.failed, requests, 1),
        "agreement": (
            counted.agreement(whole.LEAST_AGREEMENT, demands), round(drawn.differing * ROWS), drawn.compared, ROWS
        ),
        "difference": (counted.error_rate(whole.LIMIT, demands), drawn.apart, drawn.compared, 1),
        "nonFinite": (counted.error_rate(whole.NON_FINITE, demands), drawn.non_finite, drawn.compared, 1),
    }  # fmt: skip
    result = {
        name: bool(hits >= counted.fewest(fails, np.array([samples]), parts)[0])
        for name, (fails, hits, samples, parts) in cases.items()
    }
    for name, rank in (("p99Seconds", 0.99), ("p50Seconds", 0.5)):
        percentile = timed.Percentile(*durations, rank, 1 + whole.INCREASE)
        evidence = percentile.evidence(drawn.canary[None, :], drawn.stable[None, :])[0]
        result[name] = bool(evidence >= log(1 / demands.alpha))
    return result


def _grow(
    chance: Chance, drawn: Drawn, harm: float, durations: tuple[timed.Durations, timed.Durations]
) -> None:
    """Another look's requests: some, or many, of them."""
    answered, compared = int(chance.integers(1, 60)), int(chance.integers(1, 60))
    drawn.answered += answered
    drawn.failed += int(chance.binomial(answered, harm * whole.LIMIT))
    drawn.compared += compared
    rows = counted.parts_at(chance, harm * (1 - whole.LEAST_AGREEMENT), ROWS, 0.5)(compared, 1)[0]
    drawn.differing += float(rows) / ROWS
    drawn.apart += int(chance.binomial(compared, harm * whole.LIMIT))
    drawn.non_finite += int(chance.binomial(compared, harm * whole.NON_FINITE))
    drawn.canary = drawn.canary + durations[0].drawn(chance, answered + compared, 1)[0]
    drawn.stable = drawn.stable + durations[1].drawn(chance, 2 * answered, 1)[0]
