"""Gives the numbers that an own trainer reports itself. They are not measured, so they have no interval."""

from modelwright_training.documents import Gate
from modelwright_training.errors import listing, suggestion
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World


def measure(gate: Gate, world: World) -> Evidence:
    """The number as it was reported.

    Raises: Unmeasurable if there is none of that name."""
    if gate.metric not in world.reported:
        known = list(world.reported)
        raise Unmeasurable(
            "UnknownMetric",
            f"the trainer reports no {gate.metric!r} in metrics.json"
            + (f", but {listing(known)}.{suggestion(gate.metric, known)}" if known else ""),
        )
    return Evidence(gate.name, gate.metric, world.reported[gate.metric], source="Reported")
