"""Measures a metric on all rows of the hold-out, or on a slice of them."""

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.errors import listing, suggestion
from modelwright_training.judging.gates import slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import Resampled, World
from modelwright_training.judging.intervals import Interval
from modelwright_training.judging.scored import Mask


def measure(gate: Gate, world: World) -> Evidence:
    """The value of a metric, with the interval that the report has for it, or that of the slice."""
    mask = slices.rows_of(gate, world)
    samples = slices.count(mask, world.frame)
    published = world.metric(gate.metric) if mask is None else None
    if published is not None and published.interval is not None:
        return Evidence(gate.name, gate.metric, published.value, samples=samples).within(published.interval)
    own = found(gate.metric, world, mask)
    message = without(own.interval, world, own)
    return Evidence(gate.name, gate.metric, own.value, samples=samples, message=message).within(own.interval)


def found(name: str, world: World, mask: Mask | None = None) -> Resampled:
    """A metric of the candidate, and its resamples.

    Raises: Unmeasurable for an unknown metric, or one that has no value on these rows."""
    check(name, world)
    if name in world.measured.omitted and (mask is None or name not in world.candidate.names):
        raise Unmeasurable("MetricUndefined", f"{name} has no value: {world.measured.omitted[name]}")
    own = world.resampled(world.candidate, name, mask)
    if np.isfinite(own.value):
        return own
    seen = np.unique(world.truth if mask is None else world.truth[mask])
    of_one = f", which are all of {world.truth.dtype.type(seen[0])!s:.60}" if len(seen) == 1 else ""
    raise Unmeasurable(
        "MetricUndefined",
        f"{name} has no value on the {slices.count(mask, world.frame)} rows of the slice{of_one}",
    )


def without(interval: Interval | None, world: World, *found: Resampled) -> str | None:
    """Why what was found has no interval; None if there is one."""
    if interval is not None:
        return None
    one = world.candidate.rows < 2 or (world.rows.groups is not None and world.rows.groups.max() < 1)
    if one:
        why = "there is nothing to draw from"
    elif not all(len(each.draws) for each in found):
        why = "so many rows and classes would take too long"
    else:
        why = "the rows are too few or too uniform"
    return f"it has no interval: {why}"


def check(name: str, world: World) -> None:
    """Raises: Unmeasurable for a metric that is none of the task's."""
    known = world.names
    if name in known:
        return
    if name in world.reported.values:
        raise Unmeasurable(
            "UnknownMetric",
            f"{name} is a number that the trainer reports itself: it counts only with source: Reported",
        )
    task = world.model.dataset.task.lower()
    raise Unmeasurable(
        "UnknownMetric",
        f"a {task} has no metric {name!r}.{suggestion(name, known)} It has {listing(known)}.",
    )
