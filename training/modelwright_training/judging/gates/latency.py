"""Measures how long the candidate takes to answer a request, beside the champion in the same pod."""

from modelwright_training.documents import Gate
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World

SUFFIX = "_latency_seconds"


def measure(gate: Gate, world: World) -> Evidence:
    """The evidence for a gate of this kind."""
    raise Unmeasurable("NotMeasured", "it is not measured yet")
