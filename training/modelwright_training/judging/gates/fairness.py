"""Compares how the candidate does for the groups of a sensitive feature."""

from modelwright_training.documents import Gate
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World


def measure(gate: Gate, world: World) -> Evidence:
    """The evidence for a gate of this kind."""
    raise Unmeasurable("NotMeasured", "it is not measured yet")
