"""Compares the candidate with the champion on the same rows: the paired bootstrap."""

from collections.abc import Callable

from modelwright_training import documents
from modelwright_training.documents import Gate
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import Champion, World
from modelwright_training.paths import Paths


def measure(gate: Gate, world: World) -> Evidence:
    """The evidence for a gate of this kind."""
    raise Unmeasurable("NotMeasured", "it is not measured yet")


def loader(asked: documents.Champion, paths: Paths) -> Callable[[World], Champion]:
    """What loads the champion of a run, and scores it on a world's hold-out, once a gate asks for it."""
    return lambda world: Champion(asked.name, reason="NotComparable", message="it is not loaded yet")
