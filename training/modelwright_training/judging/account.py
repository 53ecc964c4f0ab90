"""What is said of a model that has been scored: the part of a report that every step makes which scores one."""

import logging
from collections.abc import Sequence

from modelwright_training.documents import Gate
from modelwright_training.judging.gates import fairness
from modelwright_training.judging.gates.measuring import measure
from modelwright_training.judging.gates.world import World
from modelwright_training.judging.importance import importance
from modelwright_training.judging.reported import NOTHING
from modelwright_training.judging.tables import rounded
from modelwright_training.message import Json

log = logging.getLogger(__name__)

ALONE = "the rows beside a row change its answer, so it was scored row by row"


def account(world: World, gates: Sequence[Gate]) -> Json:
    """The metrics of a model with the tables beside them, and what was measured for its gates."""
    measured = world.measured
    for metric in measured.metrics:
        log.info("  %s = %.6g", metric.name, metric.value)
    evidence = measure(gates, world)
    for found in evidence:
        log.info("Gate %s: %s", found.name, found.reason if found.value is None else f"{found.value:.6g}")
    matters = importance(world)
    of_groups = fairness.tables(gates, world)
    notes = [*measured.evaluation["notes"], *([ALONE] if world.model.alone else [])]
    if world.reported.why and world.reported is not NOTHING:
        notes.append(world.reported.why)
    return {
        "metrics": [*(metric.document() for metric in measured.metrics), *_reported(world)],
        "omitted": [{"name": name, "why": why} for name, why in measured.omitted.items()],
        "evaluation": measured.evaluation | {"notes": notes},
        "curves": measured.curves,
        **({"gates": [found.document() for found in evidence]} if evidence else {}),
        **({"importance": matters} if matters else {}),
        **({"fairness": of_groups} if of_groups else {}),
    }


def _reported(world: World) -> list[Json]:
    """The numbers that the trainer reports itself, without those named as what is measured here."""
    return [
        {"name": name, "value": rounded(value), "source": "Reported"}
        for name, value in world.reported.values.items()
        if name not in world.names
    ]
