"""Compares the candidate with the baseline on the same rows."""

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.judging.gates import paired, plain, slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World


def measure(gate: Gate, world: World) -> Evidence:
    """The metric of the candidate less that of the baseline."""
    mask = slices.rows_of(gate, world)
    own = plain.found(gate.metric, world, mask)
    other = world.resampled(world.baseline, gate.metric, mask)
    if not np.isfinite(other.value):
        raise Unmeasurable(
            "MetricUndefined",
            f"{gate.metric} of the baseline, which answers one class always, has no value: compare another metric",
        )
    value, interval = paired.difference(own, other)
    return Evidence(
        gate.name,
        gate.metric,
        value,
        measured=own.value,
        reference=other.value,
        against="Baseline",
        samples=slices.count(mask, world.frame),
        message=plain.without(interval, own, world),
    ).within(interval)
