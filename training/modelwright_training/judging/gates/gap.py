"""Measures how much better the candidate is on the rows that it has learnt from than on the hold-out."""

from modelwright_training.documents import Gate
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World


def measure(gate: Gate, world: World) -> Evidence:
    """How much better it is; below 0: worse."""
    raise Unmeasurable("NotMeasured", "it is not measured yet")
