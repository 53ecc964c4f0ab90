"""Measures a metric on all rows of the hold-out, or on a slice of them."""

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.errors import listing, suggestion
from modelwright_training.judging import intervals
from modelwright_training.judging.gates import slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World
from modelwright_training.judging.scored import Mask


def measure(gate: Gate, world: World) -> Evidence:
    """The value of a metric with its interval."""
    mask = slices.rows_of(gate, world)
    value = value_of(gate.metric, world, mask)
    everyone = np.ones(len(world.truth), dtype=bool) if mask is None else mask
    if mask is None:
        interval = world.interval(gate.metric)
    else:
        found = world.resampled(world.candidate, gate.metric, mask)
        interval = intervals.ends(found.draws, value)
        interval = interval or world.candidate.proportion(gate.metric, value, mask)
    return Evidence(gate.name, gate.metric, value, samples=int(everyone.sum())).within(interval)


def value_of(name: str, world: World, mask: Mask | None = None) -> float:
    """The candidate's value of a metric.

    Raises: Unmeasurable for an unknown metric, or one that has no value on these rows."""
    check(name, world)
    if name in world.measured.omitted:
        raise Unmeasurable("MetricUndefined", f"{name} has no value: {world.measured.omitted[name]}")
    value = world.resampled(world.candidate, name, mask).value
    if not np.isfinite(value):
        rows = "all rows" if mask is None else f"the {int(mask.sum())} rows of the slice"
        raise Unmeasurable("MetricUndefined", f"{name} has no value on {rows}")
    return value


def check(name: str, world: World) -> None:
    """Raises: Unmeasurable for a metric that is none of the task's."""
    known = world.names
    if name in known:
        return
    if name in world.reported:
        raise Unmeasurable(
            "UnknownMetric",
            f"{name} is a number that the trainer reports itself: it counts only with source: Reported",
        )
    raise Unmeasurable(
        "UnknownMetric",
        f"{name!r} is no metric of a {world.model.dataset.task.lower()}, which has {listing(known)}."
        f"{suggestion(name, known)}",
    )
