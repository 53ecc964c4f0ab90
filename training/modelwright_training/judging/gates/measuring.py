"""Measures the gates of a run, each in the module of its kind. A gate never ends the step."""

from collections.abc import Callable, Sequence

from modelwright_training.documents import Gate
from modelwright_training.errors import InputError
from modelwright_training.judging.gates import (
    baseline,
    calibration,
    champion,
    fairness,
    gap,
    latency,
    plain,
    reported,
)
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import MAIN, World

Kind = Callable[[Gate, World], Evidence]


# The first that a gate is of.
KINDS: tuple[tuple[Callable[[Gate], bool], Kind], ...] = (
    (lambda gate: gate.source == "Reported", reported.measure),
    (lambda gate: gate.metric.endswith(latency.SUFFIX), latency.measure),
    (lambda gate: gate.sensitive_feature is not None, fairness.measure),
    (lambda gate: gate.against == "Champion", champion.measure),
    (lambda gate: gate.against == "Baseline", baseline.measure),
    (lambda gate: gate.split == "Train", gap.measure),
    (lambda gate: gate.metric == calibration.METRIC, calibration.measure),
    (lambda _: True, plain.measure),
)


def measure(gates: Sequence[Gate], world: World) -> list[Evidence]:
    """The evidence for each gate, in their order."""
    return [_measure(gate, world) for gate in gates]


def _measure(gate: Gate, world: World) -> Evidence:
    if gate.metric == MAIN:
        gate = gate.model_copy(update={"metric": world.main})
    measure_it = next(measure_it for is_of_it, measure_it in KINDS if is_of_it(gate))
    try:
        return measure_it(gate, world)
    except (Unmeasurable, InputError) as why:
        return Evidence(gate.name, gate.metric, reason=why.reason, message=why.message)
