"""Compares how the candidate does for the groups of a sensitive feature."""

from collections.abc import Sequence

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.errors import suggestion
from modelwright_training.judging import fairness
from modelwright_training.judging.fairness import Answers
from modelwright_training.judging.gates import slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World
from modelwright_training.judging.metrics import FEW_ROWS
from modelwright_training.message import Json


def measure(gate: Gate, world: World) -> Evidence:
    """The comparison of the groups that the gate names, in a slice if it has one.

    Rows without a value are a group of their own; with fewer rows than the gate wants they are left out, and counted
    in the message."""
    name = gate.sensitive_feature or ""
    if name not in world.frame.columns:
        known = suggestion(name, list(world.frame.columns))
        raise Unmeasurable(
            "ColumnNotFound",
            f"the hold-out has no column {name!r}, neither as a feature nor by data.holdout.extraColumns.{known}",
        )
    mask = slices.rows_of(gate, world)
    chosen = np.ones(len(world.frame), dtype=bool) if mask is None else mask
    groups = fairness.groups_of(world.frame[name][chosen], name)
    groups, kept = groups.without_few_missing(gate.min_samples or FEW_ROWS)
    compared = fairness.compare(gate.metric, answers(world).of(chosen).of(kept), groups, name)
    left = int((~kept).sum())
    out = f"; {left} rows without a value are left out" if left else ""
    return Evidence(
        gate.name,
        gate.metric,
        compared.value,
        samples=len(groups.codes),
        smallest=compared.smallest,
        message=f"{compared.message}{out}",
    ).within(compared.interval)


def answers(world: World) -> Answers:
    """What the candidate answers on the hold-out."""
    predictions, dataset = world.candidate.predictions, world.model.dataset
    classification = world.model.classes is not None
    answered = None if predictions is None else predictions.labels if classification else predictions.values
    assert answered is not None  # noqa: S101 (only a baseline has no predictions)
    positive = dataset.positive_class if len(dataset.classes or ()) == 2 else None
    return Answers(world.truth, answered, classification, positive, world.rows.groups)


def tables(gates: Sequence[Gate], world: World) -> list[Json]:
    """How the candidate does for the groups of each sensitive feature of a gate, and of each column of few values that
    the hold-out has beside the features and what divides the rows."""
    dataset = world.model.dataset
    inside = {*dataset.names, dataset.target.name, world.rows.column}
    named = [gate.sensitive_feature for gate in gates if gate.sensitive_feature]
    beside = [name for name in world.frame.columns if name not in inside]
    return fairness.tables(world.frame, [*named, *beside], answers(world))
