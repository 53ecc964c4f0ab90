"""Proves from a model's graph that its rows do not influence each other, or names the operator where the proof ends.

Follows the rows through the graph: along which axis of each tensor they lie, one after the other, each a function of
its own row alone. An operator that is not known to keep them apart ends the proof, so what is new or unusual counts
as mixing. Values are never computed; what the model does with real rows is left to `probe`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from modelwright_serving import graph
from modelwright_serving.graph import ML_DOMAIN, Graph, Node
from modelwright_serving.oip.signature import Signature
from modelwright_serving.protobuf import WireError
from modelwright_serving.rows.operators import (
    OF_SIZES,
    RULES,
    UNKNOWN,
    Call,
    constant,
    first_of,
    integers,
    present,
    unknown,
)
from modelwright_serving.rows.shapes import (
    COUNTING,
    MixedError,
    N,
    Tensor,
    axis_of,
    plain,
    shape_of,
    with_axis,
    without_axis,
)
from modelwright_serving.taken import RUNTIMES_OWN

_MAX_DEPTH = 16
_MAX_STEPS = 100_000
# Kernels may add up in another order for a single row than for several.
_SUMMING = {
    *("Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "MatMul", "RNN"),
    *("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor"),
    *("ReduceL1", "ReduceL2", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
}
# Kernels compute several elements at once and round those that are left over at the end of a run otherwise: these
# always, those only in double precision.
_LEFT_OVER = {
    *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Celu", "Cos", "Cosh", "Elu", "Log", "Mish", "Pow"),
    *("ReduceLogSum", "ReduceLogSumExp", "Selu", "Sin", "Sinh", "Softplus", "Softsign", "Swish", "Tan"),
}
_LEFT_OVER_DOUBLES = {"Erf", "Exp", "Gelu", "LogSoftmax", "Sigmoid", "Softmax", "Tanh"}
# Kernels add up from where a load is aligned on.
_BY_PLACE = {"Einsum", "InstanceNormalization", "MeanVarianceNormalization", "ReduceMean", "ReduceSum"}
_DOUBLE = 11  # of TensorProto.DataType
_ALIEN = "not known to keep rows apart"

_RANDOM = "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"
_BY_CHANCE = "gives something else in every run"
_OVER_BATCH = "scales by the largest value of the whole run"
_PADS = "fills every row up to the longest of the run"
_MIXING = {
    **{("", name): _BY_CHANCE for name in _RANDOM.split()},
    ("", "DynamicQuantizeLinear"): _OVER_BATCH,
    ("com.microsoft", "DynamicQuantizeMatMul"): _OVER_BATCH,
    ("com.microsoft", "DynamicQuantizeLSTM"): _OVER_BATCH,
    ("com.microsoft", "Tokenizer"): _PADS,
    ("", "StringSplit"): _PADS,
    ("", "Loop"): "repeats its body in a way that the graph does not bound",
    ("", "SequenceMap"): "repeats its body in a way that the graph does not bound",
}


@dataclass(frozen=True)
class _Mixed:
    """A tensor in which rows may have met, and where they did."""

    reason: str


_Value: TypeAlias = Tensor | _Mixed
_Values: TypeAlias = dict[str, _Value]


@dataclass(frozen=True)
class Structure:
    """What the graph says: why rows may meet (None: they never do).

    `portion`: in runs of a multiple of so many rows, their number does not change the last bits of a row's answer.
    `aligned`: the place of an input in memory does.
    """

    meeting: str | None
    portion: int = 1
    aligned: bool = True


def examine(model: graph.Model | None, signature: Signature) -> Structure:
    """The structure of a model; None is one whose graph cannot be read.

    No `meeting` means that every output has a row for each row of the inputs, which depends on nothing else.
    """
    if model is None:
        return Structure("the graph is too large to be followed, or malformed")
    try:
        by_place = next((node.op_type for node in model.walk() if node.op_type in _BY_PLACE), None)
        meeting = _meeting(model, signature)
        if meeting is None and by_place is not None:
            meeting = f"operator {by_place} rounds by where in memory a row begins"
        portion = _portion(model, signature) if meeting is None else 1
        return Structure(meeting, portion, by_place is not None)
    except WireError as error:
        return Structure(f"the graph is malformed: {error}")


def _portion(model: graph.Model, signature: Signature) -> int:
    nodes = list(model.walk())
    kinds = {node.op_type for node in nodes}
    double = any(spec.datatype == "FP64" for spec in signature.inputs) or any(
        value == _DOUBLE or (isinstance(value, graph.Constant) and value.type == _DOUBLE)
        for node in nodes
        if node.op_type in {"Cast", "Constant"}
        for value in node.attributes.values()
    )
    double = double or any(constant.type == _DOUBLE for constant in model.graph.constants.values())
    if kinds & _LEFT_OVER or (double and kinds & _LEFT_OVER_DOUBLES):
        return 16
    return 2 if kinds & _SUMMING else 1


def _meeting(model: graph.Model, signature: Signature) -> str | None:
    known: _Values = {
        spec.name: Tensor((N, *(None if size == -1 else size for size in spec.shape[1:])), 0)
        for spec in signature.inputs
    }
    steps = _Steps(model, fixed=all(-1 not in spec.shape[1:] for spec in signature.inputs))
    try:
        outputs = steps.follow(model.graph, known, 0)
    except MixedError as error:
        return str(error)
    for name, output in zip(model.graph.outputs, outputs, strict=True):
        if isinstance(output, _Mixed):
            return output.reason
        if output.axis != 0:
            return f"output {name!r} does not have its rows in the first dimension"
    return None


class _Steps:
    """Follows nodes in their order, within a bound for files made to cost time."""

    def __init__(self, model: graph.Model, *, fixed: bool) -> None:
        self._functions = model.functions
        self._left = _MAX_STEPS
        self.opset = model.opsets.get("", 1)
        # Whether nothing but the number of rows can differ between two requests.
        self.fixed = fixed

    def follow(self, part: Graph, outer: _Values, depth: int) -> list[_Value]:
        """The outputs of a graph; `outer` is what is known where it stands, its inputs included."""
        if depth > _MAX_DEPTH:
            raise MixedError("the graph is nested too deeply to be followed")
        # Charged, so that many small subgraphs of a large graph stay within the bound, too.
        self._left -= len(outer) // 64
        known = {**outer, **{name: constant(found) for name, found in part.constants.items()}}
        known |= {name: outer[name] for name in part.inputs if name in outer}
        for node in part.nodes:
            self._left -= 1
            if self._left < 0:
                raise MixedError("the graph is too large to be followed")
            results = self._step(node, known, depth)
            known |= zip(node.outputs, results, strict=False)
        return [known.get(name, _Mixed(f"the graph never makes {name!r}")) for name in part.outputs]

    def _step(self, node: Node, known: _Values, depth: int) -> Sequence[_Value]:
        values: list[Tensor | None] = []
        for name in node.inputs:
            value = known.get(name) if name else None
            if isinstance(value, _Mixed):
                return [value] * len(node.outputs)
            if name and value is None:
                return [_Mixed(f"the graph uses {name!r} before it makes it")] * len(node.outputs)
            values.append(value)
        try:
            results = self._apply(node, values, known, depth)
        except MixedError as error:
            name = f"{node.domain}:{node.op_type}" if node.domain else node.op_type
            made = f" (which makes {node.outputs[0]!r})" if node.outputs else ""
            return [_Mixed(f"operator {name}{made} {error}")] * len(node.outputs)
        missing = len(node.outputs) - len(results)
        return [*results, *[_Mixed(f"operator {node.op_type} has an output that is {_ALIEN}")] * missing]

    def _apply(self, node: Node, values: list[Tensor | None], known: _Values, depth: int) -> Sequence[_Value]:
        key = (node.domain, node.op_type)
        if key in self._functions and not node.domain.startswith(RUNTIMES_OWN) and node.domain:
            return self._call(self._functions[key], values, depth)
        if key == ("", "If"):
            return self._branch(node, first_of(values), known, depth)
        if key == ("", "Scan"):
            return self._scan(node, present(values), known, depth)
        if key in _MIXING:
            raise MixedError(_MIXING[key])
        if node.domain not in {"", ML_DOMAIN}:
            raise MixedError(UNKNOWN)
        if node.op_type not in OF_SIZES and any(value.counts for value in present(values)):
            raise MixedError(COUNTING)
        by_row = any(value.axis is not None for value in present(values))
        try:
            found = RULES.get(key, unknown)(Call(node, values, self.opset, self.fixed))
        except MixedError:
            # What comes from nothing but constants is one, whatever is done to them.
            if by_row or any(value.counts for value in present(values)) or key == ("", "Dropout"):
                raise
            return [Tensor(None)] * len(node.outputs)
        results = [found] if isinstance(found, Tensor) else found
        # Whatever a rule overlooks: what comes from rows is by row, but for their number.
        if by_row and key != ("", "Shape") and any(result.axis is None for result in results):
            raise MixedError(UNKNOWN)
        return results

    def _call(self, function: Graph, values: list[Tensor | None], depth: int) -> Sequence[_Value]:
        names = zip(function.inputs, values, strict=False)
        given: _Values = {name: value for name, value in names if value is not None}
        # A function has versions of its own; only what holds for all of them is proved of it.
        opset, self.opset = self.opset, 0
        try:
            return self.follow(function, given, depth + 1)
        finally:
            self.opset = opset

    def _branch(self, node: Node, condition: Tensor, known: _Values, depth: int) -> Sequence[_Value]:
        if condition.axis is not None or condition.counts:
            raise MixedError("decides for all rows by the values of some")
        ways = [self.follow(part, known, depth + 1) for part in node.graphs]
        return [_agreed(found) for found in zip(*ways, strict=False)]

    def _scan(self, node: Node, values: list[Tensor], known: _Values, depth: int) -> Sequence[_Value]:
        """Only if it walks along another axis than the rows', and carries what stays as it is."""
        bodies, walked = node.graphs, node.attributes.get("num_scan_inputs")
        if self.opset < 9 or len(bodies) != 1 or not isinstance(walked, int) or not 0 < walked <= len(values):
            raise MixedError(UNKNOWN)
        carried = [plain(value) for value in values[:-walked]]
        slices = []
        for value, place in zip(values[-walked:], _places(node, "scan_input_axes", walked), strict=True):
            axis = axis_of(place, len(shape_of(value)))
            if axis == value.axis:
                raise MixedError("walks from row to row")
            slices.append(without_axis(value, axis))
        given = dict(zip(bodies[0].inputs, [*carried, *slices], strict=False))
        results = self.follow(bodies[0], {**known, **given}, depth + 1)
        results = [value if isinstance(value, _Mixed) else plain(value) for value in results]
        stays, made = results[: len(carried)], results[len(carried) :]
        if any(after != before for before, after in zip(carried, stays, strict=False)):
            raise MixedError("carries what changes on its way")
        places = _places(node, "scan_output_axes", len(made))
        return [*stays, *(_stacked(value, place) for value, place in zip(made, places, strict=True))]


def _places(node: Node, name: str, count: int) -> tuple[int, ...]:
    """An axis for each of `count` tensors of a Scan."""
    axes = integers(node, name) or (0,) * count
    if len(axes) != count:
        raise MixedError(f"has an attribute {name} that is not known")
    return axes


def _stacked(value: _Value, place: int) -> _Value:
    return value if isinstance(value, _Mixed) else with_axis(value, axis_of(place, len(shape_of(value)) + 1))


def _agreed(ways: Sequence[_Value]) -> _Value:
    """What holds whichever of these tensors it is."""
    first = ways[0]
    for way in ways:
        if isinstance(way, _Mixed):
            return way
    found = [plain(way) for way in ways if isinstance(way, Tensor)]
    if isinstance(first, _Mixed) or len({(value.axis, len(value.shape or ())) for value in found}) > 1:
        raise MixedError("has branches of different shapes")
    if any(value.shape is None for value in found):
        return Tensor(None) if first.axis is None else _Mixed("a branch has an unknown shape")
    sizes = zip(*(shape_of(value) for value in found), strict=True)
    return Tensor(tuple(size[0] if len(set(size)) == 1 else None for size in sizes), first.axis)
