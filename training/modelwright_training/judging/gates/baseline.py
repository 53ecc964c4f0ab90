"""Compares the candidate with the baseline on the same rows."""

from modelwright_training.documents import Gate
from modelwright_training.judging.gates import comparing
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World


def measure(gate: Gate, world: World) -> Evidence:
    """The metric of the candidate less that of the baseline, or with maxRatio the ratio of both."""
    try:
        return comparing.measure(gate, world, world.baseline, "Baseline")
    except comparing.NoReferenceError as lack:
        raise Unmeasurable(
            "MetricUndefined",
            f"{gate.metric} of the baseline, which answers one class always, has no value: compare another metric",
        ) from lack
