"""Measures the gates of a run, each in the module of its kind. A gate never ends the step."""

from collections.abc import Callable, Sequence

from modelwright_training.documents import Gate
from modelwright_training.errors import InputError
from modelwright_training.judging.gates import baseline, champion, fairness, gap, latency, plain, reported
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import MAIN, World

Kind = Callable[[Gate, World], Evidence]


def measure(gates: Sequence[Gate], world: World) -> list[Evidence]:
    """The evidence for each gate, in their order."""
    return [_measure(gate, world) for gate in gates]


def _measure(gate: Gate, world: World) -> Evidence:
    if gate.metric == MAIN:
        gate = gate.model_copy(update={"metric": world.main})
    try:
        return _kind(gate)(gate, world)
    except (Unmeasurable, InputError) as why:
        return Evidence(gate.name, gate.metric, reason=why.reason, message=why.message)


def _kind(gate: Gate) -> Kind:
    if gate.source == "Reported":
        return reported.measure
    if gate.metric.endswith(latency.SUFFIX):
        return latency.measure
    if gate.sensitive_feature is not None:
        return fairness.measure
    if gate.against == "Champion":
        return champion.measure
    if gate.against == "Baseline":
        return baseline.measure
    return gap.measure if gate.split == "Train" else plain.measure
