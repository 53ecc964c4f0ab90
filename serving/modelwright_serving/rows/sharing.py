"""The verdict on sharing runs: first the graph has to prove it, then the model has to show it."""

from dataclasses import dataclass

from modelwright_serving.graph import Model
from modelwright_serving.oip.signature import Signature
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.rows.probe import DependentError, Run, tried
from modelwright_serving.rows.structure import examine

_PROVED = "the graph keeps rows apart, and in runs of up to {} rows each came out the same to the last bit"


@dataclass(frozen=True)
class Sharing:
    """Whether rows of different callers may share a run, and why (not).

    A run has a multiple of `portion` rows, a shared one at most `most_rows`: within these bounds the answer to a row
    is the same to the last bit, whatever else is in the run. `aligned`: of a model whose requests run alone, the answer
    is the same each time only if the inputs begin at a cache line.
    """

    allowed: bool
    reason: str
    portion: int = 1
    most_rows: int = 1
    aligned: bool = False


def judge(
    model: Model | None, signature: Signature, run: Run, known: list[Tensor] | None, *, wanted: bool = True
) -> Sharing:
    """Whether the model may, if it is `wanted` at all; `known` are rows that it is known to take.

    Without a `model`, whose graph cannot be read then, nothing is proved.
    """
    structure = examine(model, signature)

    def alone(reason: str) -> Sharing:
        return Sharing(False, reason, aligned=structure.aligned)

    if not wanted:
        return alone("it is switched off by --row-sharing never")
    for spec in signature.inputs:
        if spec.shape[:1] != (-1,):
            return alone(f"the first dimension of input {spec.name!r} is fixed")
    if structure.meeting is not None:
        return alone(structure.meeting)
    try:
        portion, most = tried(run, signature, known, structure.portion)
    except DependentError as error:
        return alone(str(error))
    return Sharing(True, _PROVED.format(most), portion, most)
