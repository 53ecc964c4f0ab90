"""Finds the rows of a slice: those with some values in some columns, features or others that the hold-out has."""

import numpy as np

from modelwright_training.documents import Gate
from modelwright_training.errors import suggestion
from modelwright_training.judging.gates.evidence import Unmeasurable
from modelwright_training.judging.gates.world import World
from modelwright_training.judging.scored import Mask


def rows_of(gate: Gate, world: World) -> Mask | None:
    """The rows of a gate's slice; None if it has none.

    Raises: Unmeasurable for a column that the hold-out has not, and for a slice without rows."""
    if gate.slice is None:
        return None
    mask = np.ones(len(world.truth), dtype=bool)
    for name, value in gate.slice.items():
        if name not in world.frame.columns:
            known = suggestion(name, list(world.frame.columns))
            raise Unmeasurable("ColumnNotFound", f"the hold-out has no column {name!r}.{known}")
        mask &= (world.frame[name] == value).to_numpy()
    return mask
