"""Measures how much better the candidate is on the rows that it has learnt from than on the hold-out."""

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.judging.gates import paired, plain, slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import LOSSES, World


def measure(gate: Gate, world: World) -> Evidence:
    """How much better it is there, whether more of the metric is better or less; below 0: it is worse there.

    Both sides are drawn again on their own, and as often; the training rows one by one, for the groups that they belong
    to are known of the hold-out only."""
    if world.train is None or world.trained is None:
        raise Unmeasurable("NoTrainingRows", "the rows that the model has learnt from are not at hand")
    mask = slices.rows_of(gate, world)
    own = plain.found(gate.metric, world, mask)
    learnt = world.resampled(
        world.train, gate.metric, slices.rows_in(gate, world.trained(), "the training rows")
    )
    if not np.isfinite(learnt.value):
        raise Unmeasurable("MetricUndefined", f"{gate.metric} has no value on the training rows")
    pair = (own, learnt) if gate.metric in LOSSES else (learnt, own)
    value, interval = paired.difference(*pair)
    return Evidence(
        gate.name,
        gate.metric,
        value,
        measured=own.value,
        reference=learnt.value,
        samples=slices.count(mask, world.frame),
        message=plain.without(interval, world, own, learnt) or _by_rows(world),
    ).within(interval)


def _by_rows(world: World) -> str | None:
    """What makes the interval too narrow; None if nothing does."""
    if world.rows.groups is None:
        return None
    return (
        f"the interval is a little too narrow: training rows are drawn one by one, not by "
        f"{world.rows.column}, which is known of the hold-out only"
    )
