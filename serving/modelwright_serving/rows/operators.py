"""The operators that are known to keep rows apart: what each makes of where the rows lie."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

from modelwright_serving.graph import ML_DOMAIN, Constant, Node
from modelwright_serving.rows.shapes import (
    COUNTING,
    MixedError,
    N,
    Shape,
    Size,
    Tensor,
    axes_of,
    axis_of,
    broadcast,
    certain,
    known_sizes,
    plain,
    shape_of,
    sized,
    with_axis,
    without_axis,
)


def constant(found: Constant) -> Tensor:
    """A tensor that stands in the file."""
    data = found.values
    whole = data is not None and len(found.shape) <= 1 and all(isinstance(number, int) for number in data)
    return Tensor(found.shape, None, tuple(int(number) for number in data) if data and whole else None)


def first_of(values: list[Tensor | None]) -> Tensor:
    """The first input of a node."""
    if not values or values[0] is None:
        raise MixedError("has no input")
    return values[0]


def present(values: list[Tensor | None]) -> list[Tensor]:
    """The inputs that are not left out."""
    return [value for value in values if value is not None]


def integers(node: Node, name: str) -> tuple[int, ...] | None:
    """An attribute that is a list of whole numbers; None if it is left out."""
    value = node.attributes.get(name, ())
    if not isinstance(value, tuple) or not all(isinstance(number, int) for number in value):
        raise MixedError(f"has an attribute {name} that is not known")
    return tuple(int(number) for number in value) if name in node.attributes else None


@dataclass(frozen=True)
class Call:
    """A node with what is known of its inputs."""

    node: Node
    values: list[Tensor | None]
    opset: int
    fixed: bool

    @property
    def first(self) -> Tensor:
        return first_of(self.values)

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        first, second = self.first, self.optional(1)
        if second is None:
            raise MixedError("has one input only")
        return first, second

    def optional(self, position: int) -> Tensor | None:
        return self.values[position] if position < len(self.values) else None

    def integer(self, name: str, default: int) -> int:
        """An attribute that may be left out."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            raise MixedError(f"has an attribute {name} that is not known")
        return value

    def whole(self, name: str, position: int) -> tuple[int, ...] | None:
        """Whole numbers that are an attribute in old versions and an input in new ones; None if left out."""
        value = self.optional(position)
        if value is None:
            return integers(self.node, name)
        data = value.data
        if data is None or not all(isinstance(number, int) for number in data):
            raise MixedError(f"takes its {name} from the run")
        return tuple(number for number in data if isinstance(number, int))

    def same_for_all(self, start: int) -> None:
        """The inputs from `start` on do not depend on rows."""
        if any(value is not None and value.axis is not None for value in self.values[start:]):
            raise MixedError("takes from rows what it does to rows")


UNKNOWN = "is not known to treat each row by itself"
_Rule: TypeAlias = Callable[[Call], "Tensor | list[Tensor]"]


# --- operators -------------------------------------------------------------------------------


def unknown(_: Call) -> Tensor:
    """The rule of every other operator."""
    raise MixedError(UNKNOWN)


def _unchanged(call: Call) -> Tensor:
    return call.first


def _normalised_text(call: Call) -> Tensor:
    """StringNormalizer: letter case, text by text."""
    if call.node.attributes.get("stopwords", ()):
        raise MixedError("drops the rows that hold a stop word")
    return plain(call.first)


def _cast(call: Call) -> Tensor:
    """To whole numbers, sizes stay what they are."""
    if call.integer("to", 0) in {6, 7}:
        return call.first
    return plain(call.first)


def _each(call: Call) -> Tensor:
    """Element by element."""
    call.same_for_all(1)
    return plain(call.first)


def _elements(call: Call) -> Tensor:
    return broadcast(present(call.values))


def _matrix(call: Call) -> Tensor:
    """Operators of ai.onnx.ml that take a matrix, a row for each row."""
    shape = shape_of(call.first)
    if len(shape) != 2 or call.first.axis not in {0, None}:
        raise MixedError("takes something else than a matrix of rows")
    return Tensor((shape[0], None), call.first.axis)


def _labels(call: Call) -> list[Tensor]:
    """A label and scores for each row."""
    scores = _matrix(call)
    return [Tensor((shape_of(scores)[0],), scores.axis), scores]


def _columns(call: Call) -> Tensor:
    """A matrix, by column: as wide as it was."""
    return Tensor((_matrix(call).shape or ())[:1] + shape_of(call.first)[1:], call.first.axis)


def _features(call: Call) -> Tensor:
    parts = [_matrix(replace(call, values=[value])) for value in present(call.values)]
    return _joined(parts, 1)


def _extracted(call: Call) -> Tensor:
    """ArrayFeatureExtractor: columns by number, or for each row the entries that it names."""
    source, wanted = call.pair
    shape, named = shape_of(source), shape_of(wanted)
    if wanted.axis is None:
        count = prod(known_sizes(named)) if certain(named) else None
        return sized(source if len(shape) > 1 else with_axis(source, 0, 1), max(len(shape), 2) - 1, count)
    if source.axis is not None or any(size != 1 for size in named[: wanted.axis]):
        raise MixedError("lets rows choose from rows")
    return Tensor((*shape[:-1], N) if len(shape) > 1 else (1, N), max(len(shape), 2) - 1)


def _one_hot(call: Call) -> Tensor:
    call.same_for_all(1)
    rank = len(shape_of(call.first)) + 1
    axis = -1 if call.node.domain == ML_DOMAIN else call.integer("axis", -1)
    return with_axis(call.first, axis_of(axis, rank))


def _product(call: Call) -> Tensor:
    """MatMul: neither side may have its rows where products are summed up."""
    left, right = call.pair
    sides = [shape_of(left), shape_of(right)]
    if min(map(len, sides)) == 0 or (left.axis is not None and left.axis == len(sides[0]) - 1):
        raise MixedError("adds up over rows")
    if len(sides[1]) == 1:
        return without_axis(left, len(sides[0]) - 1) if right.axis is None else sized(right, 0)
    if len(sides[0]) == 1 or right.axis == len(sides[1]) - 2:
        raise MixedError("adds up over rows")
    # What is left of the last two axes: rows of the left side, columns of the right one.
    ends = [
        Tensor((*sides[0][:-1], 1), left.axis),
        Tensor((*sides[1][:-2], 1, sides[1][-1]), right.axis),
    ]
    return broadcast(ends)


def _gemm(call: Call) -> Tensor:
    left, right = call.pair
    turned = [_turned(left, call.integer("transA", 0)), _turned(right, call.integer("transB", 0))]
    product = _product(replace(call, values=[*turned]))
    return broadcast([product, *present(call.values[2:])])


def _turned(value: Tensor, turn: int) -> Tensor:
    shape = shape_of(value)
    if len(shape) != 2:
        raise MixedError("takes something else than a matrix")
    return Tensor(shape[::-1], None if value.axis is None else 1 - value.axis) if turn else value


def _reduced(call: Call) -> Tensor:
    axes = call.whole("axes", 1)
    if not axes and call.integer("noop_with_empty_axes", 0):
        return plain(call.first)
    if call.first.shape is None:
        return Tensor(None)
    rank = len(shape_of(call.first))
    return _squashed(call.first, axes_of(axes or range(rank), rank), call.integer("keepdims", 1))


def _best(call: Call) -> Tensor:
    """ArgMax and ArgMin."""
    rank = len(shape_of(call.first))
    return _squashed(call.first, [axis_of(call.integer("axis", 0), rank)], call.integer("keepdims", 1))


def _squashed(value: Tensor, axes: list[int], keep: int) -> Tensor:
    for axis in sorted(axes, reverse=True):
        value = sized(value, axis, 1)
        value = value if keep else without_axis(value, axis)
    return value


def _along(call: Call, default: int = -1) -> Tensor:
    """Along one axis; the shape stays."""
    value = call.first
    return _kept(value, [call.integer("axis", default)])


def _kept(value: Tensor, axes: Sequence[int]) -> Tensor:
    if value.axis is None:
        return Tensor(value.shape)
    if value.axis in axes_of(axes, len(shape_of(value))):
        raise MixedError("works across rows")
    return Tensor(value.shape, value.axis)


def _from_on(call: Call, default: int = -1) -> Tensor:
    """Over all axes from one on."""
    value = call.first
    call.same_for_all(1)
    if value.axis is None:
        return Tensor(value.shape)
    rank = len(shape_of(value))
    return _kept(value, range(axis_of(call.integer("axis", default), rank), rank))


def _softmax(call: Call) -> Tensor:
    return _along(call) if call.opset >= 13 else _from_on(call, 1)


def _running(call: Call) -> Tensor:
    axes = call.whole("axis", 1)
    return _kept(call.first, axes or ())


def _largest(call: Call) -> list[Tensor]:
    call.same_for_all(1)
    axis = axis_of(call.integer("axis", -1), len(shape_of(call.first)))
    return [sized(call.first, axis)] * 2


def _spatial(call: Call) -> Tensor:
    """Images and series: rows lie along the first axis, and weights do not depend on them."""
    call.same_for_all(1)
    shape = shape_of(call.first)
    if call.first.axis not in {0, None} or len(shape) < 2:
        raise MixedError("takes rows for something else")
    return Tensor((shape[0], *[None] * (len(shape) - 1)), call.first.axis)


def _normalised(call: Call) -> Tensor:
    """By channel, with numbers that training has fixed."""
    if call.integer("training_mode", 0) or len(call.node.outputs) > 1 or call.opset < 7:
        raise MixedError("normalises over the rows of the run, as in training")
    return Tensor(shape_of(call.first), _spatial(call).axis)


def _instance(call: Call) -> Tensor:
    return Tensor(shape_of(call.first), _spatial(call).axis)


def _dropout(call: Call) -> list[Tensor]:
    training = call.optional(2)
    if training is not None and (training.data is None or any(training.data)):
        raise MixedError("drops values by chance, as in training")
    return [call.first] * 2


def _quantized(call: Call) -> Tensor:
    """With fixed scales, which may differ by an axis that is not the rows'."""
    call.same_for_all(1)
    value, scale = call.first, call.optional(1)
    shape = shape_of(scale) if scale is not None else ()
    if len(shape) > 1 or "block_size" in call.node.attributes:
        raise MixedError("has scales of a shape that is not known")
    return _kept(value, [] if prod(known_sizes(shape)) == 1 else [call.integer("axis", 1)])


def _recurrent(call: Call) -> list[Tensor]:
    """Sequences whose second axis are the rows."""
    given, weights = call.first, call.values[1:4]
    state = present(call.values[5:7])
    if any(value is not None and value.axis is not None for value in (*weights, *call.values[7:])):
        raise MixedError("takes from rows what it does to rows")
    if (
        call.integer("layout", 0)
        or given.axis != 1
        or len(shape_of(given)) != 3
        or call.optional(4) is not None
    ):
        raise MixedError(UNKNOWN)
    if any(value.axis != 1 for value in state):
        raise MixedError("begins with a state that rows share")
    return [Tensor((None, None, N, None), 2), *[Tensor((None, N, None), 1)] * 2]


def _transposed(call: Call) -> Tensor:
    if call.first.shape is None:
        return Tensor(None)
    shape = shape_of(call.first)
    order = integers(call.node, "perm") or tuple(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        raise MixedError("has an order of axes that is not known")
    axis = None if call.first.axis is None else order.index(call.first.axis)
    return Tensor(tuple(shape[index] for index in order), axis)


def _flattened(call: Call) -> Tensor:
    value = call.first
    shape = shape_of(value)
    axis = call.integer("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    if value.axis is None:
        return Tensor(None)
    if value.axis >= axis or any(size != 1 for index, size in enumerate(shape[:axis]) if index != value.axis):
        raise MixedError("does not keep rows apart")
    return Tensor((N, None), 0)


def _squeezed(call: Call) -> Tensor:
    value, axes = call.first, call.whole("axes", 1)
    if value.data is not None and len(value.data) == 1:
        return Tensor((), None, value.data)
    if axes is None or value.counts:
        raise MixedError("drops whatever axes have the size 1")
    rank = len(shape_of(value))
    for axis in sorted(axes_of(axes, rank), reverse=True):
        value = without_axis(sized(value, axis), axis)
    return value


def _unsqueezed(call: Call) -> Tensor:
    value, axes = call.first, call.whole("axes", 1)
    if axes is None:
        raise MixedError("has no axes")
    if value.data is not None and value.shape == () and len(axes) == 1:
        return Tensor((1,), None, value.data)
    for axis in sorted(axes_of(axes, len(shape_of(value)) + len(axes))):
        value = with_axis(value, axis, 1)
    return value


def _concatenated(call: Call) -> Tensor:
    values = present(call.values)
    if all(value.data is not None for value in values):
        data = tuple(size for value in values for size in value.data or ())
        return Tensor((len(data),), None, data)
    if any(value.counts for value in values):
        raise MixedError(COUNTING)
    if all(value.axis is None for value in values):
        return Tensor(None)
    return _joined(values, axis_of(call.integer("axis", 0), len(shape_of(values[0]))))


def _joined(values: Sequence[Tensor], axis: int) -> Tensor:
    if len({value.axis for value in values}) > 1:
        raise MixedError("treats rows by their position")
    return sized(values[0], axis)


def _split(call: Call) -> list[Tensor]:
    call.same_for_all(1)
    axis = axis_of(call.integer("axis", 0), len(shape_of(call.first)))
    return [sized(call.first, axis)] * len(call.node.outputs)


def _sliced(call: Call) -> Tensor:
    call.same_for_all(1)
    starts, stops = call.whole("starts", 1), call.whole("ends", 2)
    axes, value = call.whole("axes", 3), call.first
    if value.data is not None and starts and stops and len(shape_of(value)) == 1:
        step = (call.whole("steps", 4) or (1,))[0]
        data = value.data[slice(starts[0], stops[0], step or 1)]
        return Tensor((len(data),), None, data)
    if value.shape is None:
        return Tensor(None)
    for axis in axes_of(axes if axes is not None else range(len(starts or ())), len(value.shape)):
        value = sized(value, axis)
    return value


def _gathered(call: Call) -> Tensor:
    source, wanted = call.pair
    if (
        source.data is not None
        and source.shape is not None
        and len(source.shape) == 1
        and wanted.data is not None
    ):
        data = tuple(_entry(source.data, index) for index in wanted.data)
        return Tensor(wanted.shape, None, data)
    if source.counts or wanted.counts or (source.axis is not None and wanted.axis is not None):
        raise MixedError("lets rows choose from rows")
    if source.shape is None or wanted.shape is None:
        return broadcast([source, wanted])
    axis = axis_of(call.integer("axis", 0), len(source.shape))
    rest = without_axis(sized(source, axis), axis)
    for offset, size in enumerate(wanted.shape):
        rest = with_axis(rest, axis + offset, size)
    return rest if wanted.axis is None else Tensor(rest.shape, axis + wanted.axis)


def _entry(data: Shape, index: Size) -> Size:
    if not isinstance(index, int) or not -len(data) <= index < len(data):
        raise MixedError("chooses what is not there")
    return data[index]


def _padded(call: Call) -> Tensor:
    call.same_for_all(1)
    value, pads = call.first, call.whole("pads", 1)
    if call.optional(3) is not None or pads is None:
        raise MixedError(UNKNOWN)
    if value.axis is None:
        return Tensor(None)
    rank = len(shape_of(value))
    if len(pads) != 2 * rank or pads[value.axis] or pads[rank + value.axis]:
        raise MixedError("adds or drops rows")
    return Tensor(tuple(N if axis == value.axis else None for axis in range(rank)), value.axis)


def _reshaped(call: Call) -> Tensor:
    """Rows stay apart if what lies before them stays before them and each remains whole."""
    call.same_for_all(1)
    value, target = call.first, call.optional(1)
    sizes: Shape | None = integers(call.node, "shape") if target is None else target.data
    if sizes is None:
        if value.axis is None and (target is None or not target.counts):
            return Tensor(None)
        raise MixedError("takes its shape from the run")
    if value.data is not None and sizes in {(-1,), (len(value.data),)}:
        return Tensor((len(value.data),), None, value.data)
    if value.shape is None or value.axis is None:
        if N in sizes or value.counts:
            raise MixedError("treats rows by their position")
        return Tensor(tuple(size if size not in {0, -1} else None for size in sizes))
    shape = value.shape
    if not call.integer("allowzero", 0):
        pairs = enumerate(sizes)
        sizes = tuple(shape[at] if size == 0 and at < len(shape) else size for at, size in pairs)
    axis = _where_rows_go(shape, value.axis, sizes, fixed=call.fixed)
    if N in (*sizes[:axis], *sizes[axis + 1 :]):
        raise MixedError(COUNTING)
    return Tensor(
        tuple(N if at == axis else (None if size == -1 else size) for at, size in enumerate(sizes)), axis
    )


def _where_rows_go(shape: Shape, axis: int, sizes: Shape, *, fixed: bool) -> int:
    before, after = shape[:axis], shape[axis + 1 :]
    for place, size in enumerate(sizes):
        if not certain(sizes[:place]) or not certain(before):
            break
        if prod(known_sizes(sizes[:place])) != prod(known_sizes(before)):
            continue
        rest = sizes[place + 1 :]
        if size is N:
            return place
        if size == -1 and certain(rest):
            # With nothing before the rows, and every other size fixed, the one row that every model is tried with
            # shows that a row fills whole entries.
            whole = fixed and prod(known_sizes(before)) == 1
            if whole or (certain(after) and prod(known_sizes(rest)) == prod(known_sizes(after))):
                return place
    raise MixedError("is not known to keep rows apart")


def _shapes(call: Call) -> Tensor:
    shape = shape_of(call.first)
    start, stop = call.integer("start", 0), call.integer("end", len(shape))
    data = shape[slice(start, stop)]
    return Tensor((len(data),), None, data)


def _filled(call: Call) -> Tensor:
    """The same value everywhere, in a shape that may have rows."""
    call.same_for_all(0)
    return _stretched(Tensor(()), call.first.data)


def _expanded(call: Call) -> Tensor:
    call.same_for_all(1)
    value, target = call.pair
    return _stretched(value, target.data)


def _stretched(value: Tensor, sizes: Shape | None) -> Tensor:
    if sizes is None:
        if value.axis is None:
            return Tensor(None)
        raise MixedError("takes its shape from the run")
    if sizes.count(N) > 1:
        raise MixedError(COUNTING)
    axis = sizes.index(N) if N in sizes else None
    return broadcast([value, Tensor(sizes, axis)])


def _given(call: Call) -> Tensor:
    """Constant."""
    attributes = call.node.attributes
    value = next(iter(attributes.values()), None)
    if isinstance(value, Constant):
        return constant(value)
    if isinstance(value, int):
        return Tensor((), None, (value,))
    if isinstance(value, tuple):
        whole = all(isinstance(number, int) for number in value)
        return Tensor((len(value),), None, tuple(int(number) for number in value) if whole else None)
    return Tensor(() if isinstance(value, (float, str)) else None)


def _sequence(call: Call) -> Tensor:
    """SequenceConstruct, whose items become outputs."""
    if any(value.axis != 0 for value in present(call.values)):
        raise MixedError("has items without rows in the first dimension")
    return Tensor(None, 0)


_ELEMENTWISE = (
    "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot CastLike Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu "
    "HardSigmoid HardSwish IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal RegexFullMatch Relu Round Selu "
    "Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu"
)
_BROADCASTING = (
    "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min "
    "Mod Mul Or PRelu Pow StringConcat Sub Sum Where Xor"
)
_REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"
_IMAGES = (
    "AveragePool Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalMaxPool LpPool MaxPool SpaceToDepth"
)
OF_SIZES = {
    "Cast",
    "Concat",
    "ConstantOfShape",
    "Expand",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Squeeze",
    "Unsqueeze",
}

RULES: dict[tuple[str, str], _Rule] = {
    **{("", name): _each for name in _ELEMENTWISE.split()},
    **{("", name): _elements for name in _BROADCASTING.split()},
    **{("", f"Reduce{name}"): _reduced for name in _REDUCTIONS.split()},
    **{("", name): _spatial for name in _IMAGES.split()},
    **{("", name): _softmax for name in ("Softmax", "LogSoftmax", "Hardmax")},
    **{("", name): _from_on for name in ("LayerNormalization", "RMSNormalization")},
    **{("", name): _instance for name in ("GroupNormalization", "InstanceNormalization")},
    **{("", name): _best for name in ("ArgMax", "ArgMin")},
    **{("", name): _quantized for name in ("QuantizeLinear", "DequantizeLinear")},
    **{("", name): _recurrent for name in ("GRU", "LSTM", "RNN")},
    ("", "BatchNormalization"): _normalised,
    ("", "Cast"): _cast,
    ("", "Concat"): _concatenated,
    ("", "Constant"): _given,
    ("", "ConstantOfShape"): _filled,
    ("", "CumSum"): _running,
    ("", "Dropout"): _dropout,
    ("", "Expand"): _expanded,
    ("", "Flatten"): _flattened,
    ("", "Gather"): _gathered,
    ("", "Gemm"): _gemm,
    ("", "Identity"): _unchanged,
    ("", "LpNormalization"): _along,
    ("", "MatMul"): _product,
    ("", "OneHot"): _one_hot,
    ("", "Pad"): _padded,
    ("", "Reshape"): _reshaped,
    ("", "SequenceConstruct"): _sequence,
    ("", "Shape"): _shapes,
    ("", "Slice"): _sliced,
    ("", "Split"): _split,
    ("", "Squeeze"): _squeezed,
    ("", "StringNormalizer"): _normalised_text,
    ("", "TopK"): _largest,
    ("", "Transpose"): _transposed,
    ("", "Unsqueeze"): _unsqueezed,
    **{(ML_DOMAIN, name): _each for name in ("Binarizer", "CategoryMapper", "LabelEncoder", "ZipMap")},
    **{(ML_DOMAIN, name): _columns for name in ("Imputer", "Scaler")},
    **{
        (ML_DOMAIN, name): _matrix
        for name in ("LinearRegressor", "Normalizer", "SVMRegressor", "TreeEnsemble", "TreeEnsembleRegressor")
    },
    **{
        (ML_DOMAIN, name): _labels for name in ("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier")
    },
    ("", "TfIdfVectorizer"): _matrix,
    (ML_DOMAIN, "ArrayFeatureExtractor"): _extracted,
    (ML_DOMAIN, "FeatureVectorizer"): _features,
    (ML_DOMAIN, "OneHotEncoder"): _one_hot,
}
