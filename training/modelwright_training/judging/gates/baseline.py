"""Compares the candidate with the baseline on the same rows: the paired bootstrap of the difference."""

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.judging import intervals
from modelwright_training.judging.gates import plain, slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World


def measure(gate: Gate, world: World) -> Evidence:
    """The metric of the candidate less that of the baseline."""
    mask = slices.rows_of(gate, world)
    measured = plain.value_of(gate.metric, world, mask)
    own = world.resampled(world.candidate, gate.metric, mask)
    other = world.resampled(world.baseline, gate.metric, mask)
    if not np.isfinite(other.value):
        raise Unmeasurable("MetricUndefined", f"the baseline has no {gate.metric} on these rows")
    value = measured - other.value
    interval = intervals.ends(own.draws - other.draws, value, constant=True)
    return Evidence(
        gate.name,
        gate.metric,
        value,
        measured=measured,
        reference=other.value,
        against="Baseline",
        samples=len(world.truth) if mask is None else int(mask.sum()),
    ).within(interval)
