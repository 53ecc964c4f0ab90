"""Gives the numbers that an own trainer reports itself. They are not measured, so they have no interval."""

from modelwright_training.documents import Gate
from modelwright_training.errors import listing, suggestion
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World


def measure(gate: Gate, world: World) -> Evidence:
    """The number as it was reported.

    Raises: Unmeasurable if there is none of that name."""
    values, why = world.reported.values, world.reported.why
    if gate.metric in values:
        return Evidence(gate.name, gate.metric, values[gate.metric], source="Reported")
    names = list(values)
    raise Unmeasurable(
        "UnknownMetric",
        f"the trainer reports no {gate.metric!r}: "
        + (why or f"metrics.json has {listing(names)}.{suggestion(gate.metric, names)}"),
    )
