"""Compares a metric of the candidate with that of another model on the same rows: the paired bootstrap.

The same resamples of the rows give both values, and what they have in common falls out of the difference: Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, section 10.3. Where rows belong to groups, groups are drawn."""

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.judging import intervals
from modelwright_training.judging.classification import OF_LABELS, OF_RANKS
from modelwright_training.judging.gates import paired, plain, slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World
from modelwright_training.judging.scored import Scored

# Metrics that are shares of rows or of pairs of them, from 0 to 1. Where no resample tells two models apart, they may
# differ in as large a share as that of a mistake that no row has shown: Wilson's interval of 0.
SHARES = frozenset({*OF_LABELS, *OF_RANKS})


class NoReferenceError(Exception):
    """Why the other model has no value of the metric."""


def measure(gate: Gate, world: World, other: Scored, name: str, *, other_file: bool = False) -> Evidence:
    """The metric of the candidate less that of the other, or with maxRatio the ratio of both.
    `other_file`: it is another model file, which may differ on rows that are not in the hold-out.

    Raises: NoReferenceError if the other has no value on these rows; Unmeasurable if the candidate has none."""
    mask = slices.rows_of(gate, world)
    own = plain.found(gate.metric, world, mask)
    reference = world.resampled(other, gate.metric, mask)
    if not np.isfinite(reference.value):
        raise NoReferenceError(other.why.get(gate.metric, "it has no value on these rows"))
    samples = slices.count(mask, world.frame)
    if gate.max_ratio is None:
        value, interval = paired.difference(own, reference)
    elif reference.value > 0:
        value, interval = paired.ratio(own, reference)
    else:
        raise Unmeasurable(
            "RatioUndefined", f"a ratio to {reference.value:.4g} says nothing: use minChange or maxChange"
        )
    if interval == (value, value) and gate.metric in SHARES and other_file:
        doubt = 1 - intervals.wilson(own.units, own.units)[0]
        interval = value - doubt, value + doubt
    return Evidence(
        gate.name,
        gate.metric,
        value,
        measured=own.value,
        reference=reference.value,
        against=name,
        samples=samples,
        message=plain.without(interval, world, own, reference),
    ).within(interval)
