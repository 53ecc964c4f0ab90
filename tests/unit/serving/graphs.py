"""ONNX graphs made step by step at random: some keep rows apart, some do not, and many look alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

Draw = Callable[[st.SearchStrategy[Any]], Any]
Sizes = tuple[int | None, ...]  # None: the number of rows
WIDTHS = st.sampled_from([1, 2, 3, 4, 5, 10, 15])


@dataclass
class Builder:
    """A graph over one matrix `x`; `top` is the tensor that the next step takes, `sizes` its shape."""

    width: int
    top: str = "x"
    sizes: Sizes = ()
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sizes = (None, self.width)

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weights(self, *shape: int) -> str:
        return self.constant(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape) + 0.25)

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f"t{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def then(self, name: str, sizes: Sizes) -> None:
        self.top, self.sizes = name, sizes

    def model(self) -> bytes:
        nodes = [*self.nodes, helper.make_node("Identity", [self.top], ["y"])]
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", self.width])
        made = helper.make_empty_tensor_value_info("y")
        made.type.tensor_type.elem_type = TensorProto.FLOAT
        graph = helper.make_graph(nodes, "random", [given], [made], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        return bytes(model.SerializeToString())


def _axis(build: Builder, draw: Draw) -> int:
    return int(draw(st.integers(0, len(build.sizes) - 1)))


def elementwise(build: Builder, draw: Draw) -> None:
    kind = draw(st.sampled_from(["Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Floor"]))
    build.then(build.node(kind, build.top), build.sizes)


def weighted(build: Builder, draw: Draw) -> None:
    last = build.sizes[-1]
    size = last if last is not None else int(draw(st.integers(1, 3)))
    shape = draw(st.sampled_from([(size,), (1, size), (1, 1), (1,), ()]))
    other = build.weights(*shape)
    if len(shape) <= len(build.sizes):
        build.then(build.node(draw(st.sampled_from(["Add", "Mul", "Sub"])), build.top, other), build.sizes)


def by_position(build: Builder, draw: Draw) -> None:
    rows = int(draw(st.integers(2, 3)))
    build.then(build.node("Add", build.top, build.weights(rows, 1)), build.sizes)


def reduced(build: Builder, draw: Draw) -> None:
    axes = draw(st.sets(st.integers(0, len(build.sizes) - 1), max_size=2))
    kind = draw(st.sampled_from(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2"]))
    keep = int(draw(st.booleans()))
    inputs = [build.top, *([build.constant(sorted(axes), np.int64)] if axes else [])]
    found = build.node(kind, *inputs, keepdims=keep)
    gone = axes or set(range(len(build.sizes)))
    if keep and draw(st.booleans()):
        build.then(build.node("Sub", build.top, found), build.sizes)
        return
    left = [1 if axis in gone else size for axis, size in enumerate(build.sizes) if keep or axis not in gone]
    build.then(found, tuple(left))


def along(build: Builder, draw: Draw) -> None:
    kind = draw(st.sampled_from(["Softmax", "LogSoftmax", "Hardmax", "LpNormalization"]))
    build.then(build.node(kind, build.top, axis=_axis(build, draw)), build.sizes)


def running(build: Builder, draw: Draw) -> None:
    axis = build.constant(_axis(build, draw), np.int64)
    build.then(build.node("CumSum", build.top, axis), build.sizes)


def largest(build: Builder, draw: Draw) -> None:
    axis = _axis(build, draw)
    found = build.node("TopK", build.top, build.constant([1], np.int64), outputs=2, axis=axis)
    build.then(found, (*build.sizes[:axis], 1, *build.sizes[axis + 1 :]))


def best(build: Builder, draw: Draw) -> None:
    axis = _axis(build, draw)
    found = build.node("ArgMax", build.top, axis=axis, keepdims=1)
    build.then(
        build.node("Cast", found, to=TensorProto.FLOAT), (*build.sizes[:axis], 1, *build.sizes[axis + 1 :])
    )


def transposed(build: Builder, draw: Draw) -> None:
    order = draw(st.permutations(range(len(build.sizes))))
    build.then(build.node("Transpose", build.top, perm=order), tuple(build.sizes[axis] for axis in order))


def reshaped(build: Builder, draw: Draw) -> None:
    shapes: list[tuple[int, ...]] = [(-1,), (1, -1), (-1, 1), (0, -1), (build.width, -1), (-1, build.width)]
    target = draw(st.sampled_from([*shapes, (0, 1, -1), (-1, 1, build.width)]))
    if target[0] == 0 and len(build.sizes) == 0:
        return
    rows = tuple(None if size in {0, -1} else size for size in target)
    found = build.node("Reshape", build.top, build.constant(target, np.int64))
    # Which of several unknown sizes are the rows does not matter to the steps that follow.
    build.then(found, rows)


def reshaped_by_count(build: Builder, draw: Draw) -> None:
    count = build.node("Gather", build.node("Shape", "x"), build.constant([0], np.int64))
    rest = build.constant(draw(st.sampled_from([[-1], [1, -1]])), np.int64)
    before = draw(st.booleans())
    target = build.node("Concat", *((count, rest) if before else (rest, count)), axis=0)
    build.then(build.node("Reshape", build.top, target), (None, None))


def counted(build: Builder, draw: Draw) -> None:
    count = build.node(
        "Gather", build.node("Shape", "x"), build.constant([draw(st.integers(0, 1))], np.int64)
    )
    build.then(build.node("Mul", build.top, build.node("Cast", count, to=TensorProto.FLOAT)), build.sizes)


def filled(build: Builder, draw: Draw) -> None:
    shape = build.node("Shape", "x")
    row = build.weights(*draw(st.sampled_from([(1, build.width), (build.width,), (1, 1), (2, 1)])))
    build.then(build.node("Add", "x", build.node("Expand", row, shape)), (None, build.width))


def product(build: Builder, draw: Draw) -> None:
    last = build.sizes[-1] if build.sizes else None
    if last is not None:
        build.then(build.node("MatMul", build.top, build.weights(last, 2)), (*build.sizes[:-1], 2))
    elif len(build.sizes) == 2 and build.sizes[0] is not None:
        build.then(build.node("MatMul", build.weights(2, build.sizes[0]), build.top), (2, None))


def gram(build: Builder, draw: Draw) -> None:
    turned = build.node("Transpose", "x", perm=[1, 0])
    pair = draw(st.sampled_from([("x", turned), (turned, "x")]))
    found = build.node("MatMul", *pair)
    build.then(
        build.node("MatMul", "x", found) if pair[1] == "x" else build.node("MatMul", found, "x"),
        (None, build.width),
    )


def gemm(build: Builder, draw: Draw) -> None:
    if len(build.sizes) == 2 and build.sizes[-1] is not None:
        bias = build.weights(*draw(st.sampled_from([(2,), (1, 2), (3, 2)])))
        build.then(build.node("Gemm", build.top, build.weights(build.sizes[-1], 2), bias), (None, 2))


def with_input(build: Builder, draw: Draw) -> None:
    build.then(build.node(draw(st.sampled_from(["Add", "Max"])), build.top, "x"), (None, build.width))


def chosen(build: Builder, draw: Draw) -> None:
    threshold = build.constant(draw(st.sampled_from([0.0, 1e12])))
    condition = build.node("Greater", build.top, threshold)
    build.then(build.node("Where", condition, build.top, build.constant(7.0)), build.sizes)


def chosen_for_all(build: Builder, draw: Draw) -> None:
    """Looks at all rows, but far beyond what anybody would try."""
    axes = [build.constant([1], np.int64)] if draw(st.booleans()) else []
    most = build.node("ReduceMax", "x", *axes, keepdims=1)
    condition = build.node("Greater", most, build.constant(1.5e19))
    build.then(build.node("Where", condition, build.constant(7.0), "x"), (None, build.width))


def joined(build: Builder, draw: Draw) -> None:
    axis = _axis(build, draw)
    size = build.sizes[axis]
    doubled = None if size is None else 2 * size
    build.then(
        build.node("Concat", build.top, build.top, axis=axis),
        (*build.sizes[:axis], doubled, *build.sizes[axis + 1 :]),
    )


def cut(build: Builder, draw: Draw) -> None:
    axis = _axis(build, draw)
    start, stop = draw(st.sampled_from([(0, 1), (-1, 2**31), (0, -1)]))
    inputs = [build.constant([number], np.int64) for number in (start, stop, axis)]
    build.then(build.node("Slice", build.top, *inputs), (*build.sizes[:axis], None, *build.sizes[axis + 1 :]))


def gathered(build: Builder, draw: Draw) -> None:
    axis = _axis(build, draw)
    picked = build.node("Gather", build.top, build.constant([0, 0], np.int64), axis=axis)
    build.then(picked, (*build.sizes[:axis], 2, *build.sizes[axis + 1 :]))


def quantized(build: Builder, draw: Draw) -> None:
    name = f"t{len(build.nodes)}"
    outputs = [f"{name}_q", f"{name}_scale", f"{name}_zero"]
    build.nodes.append(helper.make_node("DynamicQuantizeLinear", [build.top], outputs))
    build.then(build.node("DequantizeLinear", *outputs), build.sizes)


def layer(build: Builder, draw: Draw) -> None:
    last = build.sizes[-1] if build.sizes else None
    if last is not None and len(build.sizes) > 1:
        build.then(build.node("LayerNormalization", build.top, build.weights(last), axis=-1), build.sizes)


def deeper(build: Builder, draw: Draw) -> None:
    axes = draw(st.sampled_from([[0], [1]]))
    sizes = list(build.sizes)
    sizes.insert(axes[0], 1)
    build.then(build.node("Unsqueeze", build.top, build.constant(axes, np.int64)), tuple(sizes))


def flatter(build: Builder, draw: Draw) -> None:
    build.then(build.node("Flatten", build.top, axis=int(draw(st.integers(0, 1)))), (None, None))


def sized_by_values(build: Builder, draw: Draw) -> None:
    """Makes a tensor whose shape are the values of all rows, and adds up its ones."""
    low, high = build.constant(1.0), build.constant(3.0)
    whole = build.node("Cast", build.node("Clip", "x", low, high), to=TensorProto.INT64)
    flat = build.node("Reshape", whole, build.constant([-1], np.int64))
    if draw(st.booleans()):
        ones = build.node(
            "ConstantOfShape", flat, value=helper.make_tensor("", TensorProto.FLOAT, [1], [1.0])
        )
    else:
        ones = build.node("Expand", build.constant(1.0), flat)
    build.then(build.node("Add", "x", build.node("ReduceSum", ones, keepdims=0)), (None, build.width))


STEPS: list[Callable[[Builder, Draw], None]] = [
    *(elementwise, weighted, by_position, reduced, along, running, largest, best, transposed, reshaped),
    *(reshaped_by_count, counted, filled, product, gram, gemm, with_input, chosen, chosen_for_all, joined),
    *(cut, gathered, quantized, layer, deeper, flatter, sized_by_values),
]


@st.composite
def models(draw: Draw) -> bytes:
    """A model of one to five steps."""
    build = Builder(draw(WIDTHS))
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=5)):
        if build.sizes:
            step(build, draw)
    return build.model()
