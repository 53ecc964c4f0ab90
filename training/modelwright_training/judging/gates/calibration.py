"""Measures the calibration error against its own noise: what a perfectly calibrated model would have on as many rows.

The error is a mean of absolute gaps, so it is above 0 for every model. How far is simulated: classes are drawn from
the model's own probabilities, which makes it calibrated, and the error is computed again (Vaicenavicius et al.,
Evaluating model calibration in classification, AISTATS 2019)."""

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.judging import scorers
from modelwright_training.judging.gates import plain, slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World
from modelwright_training.judging.scorers import Floats

METRIC = "expected_calibration_error"
REDRAWN, QUANTILE = 200, 0.95


def measure(gate: Gate, world: World) -> Evidence:
    """The error, with an interval for the true one: from 0 unless the error is beyond its noise, and up to the error
    plus what resamples are above their own mean, for they are as biased as the error itself."""
    mask = slices.rows_of(gate, world)
    own = plain.found(METRIC, world, mask)
    table = world.candidate.table
    if table is None:
        raise Unmeasurable("MetricUndefined", "the model answers no probabilities")
    floor = noise(table if mask is None else table[mask], world.rows.seed)
    rows = slices.count(mask, world.frame)
    evidence = Evidence(
        gate.name,
        gate.metric,
        own.value,
        samples=rows,
        message=f"a calibrated model would have up to {floor:.4g} on {rows} rows, by chance (95 % quantile)",
    )
    if not len(own.draws):
        return evidence
    spread = own.draws - own.draws.mean()
    low, high = own.value + np.quantile(spread, [0.025, 0.975])
    return evidence.within((max(0.0, min(float(low), own.value - floor)), max(float(high), own.value)))


def noise(table: Floats, seed: int) -> float:
    """The 95 % quantile of the error of a model that is right as often as its probabilities say."""
    random = np.random.default_rng(seed)
    shares = table / table.sum(axis=1, keepdims=True)
    confidence = shares.max(axis=1)
    once = np.ones(len(table))
    errors = [
        scorers.calibration_error(confidence, random.random(len(table)) < confidence)(once)
        for _ in range(REDRAWN)
    ]
    return float(np.quantile(errors, QUANTILE))
