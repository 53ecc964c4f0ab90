"""Measures the gates of a run, each in the module of its kind. A gate never ends the step."""

import logging
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
FAILED = "MeasuringFailed"

log = logging.getLogger(__name__)

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
    except MemoryError:
        log.exception("Gate %s: there is too little memory", gate.name)
        message = "it takes more memory than there is: give the pod more, or hold out fewer rows"
    except Exception as error:  # a defect of one gate must not cost a trained model
        log.exception("Gate %s cannot be measured", gate.name)
        message = (
            f"measuring it failed, the log of the step says where: {type(error).__name__}: {error!s:.200}"
        )
    return Evidence(gate.name, gate.metric, reason=FAILED, message=message)
