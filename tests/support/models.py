"""Small ONNX models for tests, made byte for byte the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper


@cache
def valid_model() -> bytes:
    """Doubles a matrix of two columns."""
    return _model([helper.make_node("Add", ["input", "input"], ["value"])])


@cache
def summing() -> bytes:
    """Adds two columns: a regression."""
    axes = numpy_helper.from_array(np.array([1], dtype=np.int64), "axes")
    return _model([helper.make_node("ReduceSum", ["input", "axes"], ["value"])], [axes], [None, 1])


@cache
def averaging() -> bytes:
    """The mean of two columns: a regression."""
    return _model([helper.make_node("ReduceMean", ["input"], ["value"], axes=[1])], shape=[None, 1])


@cache
def failing_at_run() -> bytes:
    """Loads, but each run fails: it reshapes two numbers into seven."""
    shape = numpy_helper.from_array(np.array([7], dtype=np.int64), "shape")
    return _model([helper.make_node("Reshape", ["input", "shape"], ["value"])], [shape], [7])


@cache
def failing_on_data() -> bytes:
    """Takes zeros, as every model is tried with, and fails on all else: it looks rows up in a table of one."""
    one = numpy_helper.from_array(np.ones((1, 2), dtype=np.float32), "one")
    nodes = [
        helper.make_node("Cast", ["input"], ["index"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["index"], ["row"], keepdims=0),
        helper.make_node("Gather", ["one", "row"], ["first"]),
        helper.make_node("Add", ["input", "first"], ["value"]),
    ]
    return _model(nodes, [one])


@cache
def failing_on_large_data() -> bytes:
    """Doubles rows whose sum is below a hundred. All else it reshapes into what it has too few numbers for."""
    two = numpy_helper.from_array(np.array([-1, 2], dtype=np.int64), "two")
    hundred = numpy_helper.from_array(np.array(100, dtype=np.float32), "hundred")
    nodes = [
        helper.make_node("ReduceSum", ["input"], ["sum"], keepdims=0),
        helper.make_node("Div", ["sum", "hundred"], ["hundreds"]),
        helper.make_node("Cast", ["hundreds"], ["more"], to=TensorProto.INT64),
        helper.make_node("Add", ["two", "more"], ["shape"]),
        helper.make_node("Reshape", ["input", "shape"], ["same"]),
        helper.make_node("Add", ["same", "same"], ["value"]),
    ]
    return _model(nodes, [two, hundred])


@cache
def not_a_number_on_data() -> bytes:
    """Answers zeros with zeros, and all that is positive with NaN: the root of a negative number."""
    nodes = [helper.make_node("Neg", ["input"], ["below"]), helper.make_node("Sqrt", ["below"], ["value"])]
    return _model(nodes)


@cache
def labelling(operator: str) -> bytes:
    """Doubles, and labels each row with the column that ArgMax or ArgMin finds."""
    nodes = [
        helper.make_node("Add", ["input", "input"], ["value"]),
        helper.make_node(operator, ["input"], ["label"], axis=1, keepdims=0),
    ]
    return _model(nodes, outputs=(helper.make_tensor_value_info("label", TensorProto.INT64, [None]),))


@cache
def hungry_on_large_data() -> bytes:
    """Fills 200 MB of memory for each hundred that the input sums up to; what every model is tried with is less."""
    nodes = [
        helper.make_node("ReduceSum", ["input"], ["sum"], keepdims=0),
        helper.make_node("Div", ["sum", "hundred"], ["part"]),
        helper.make_node("Cast", ["part"], ["hundreds"], to=TensorProto.INT64),
        helper.make_node("Mul", ["hundreds", "many"], ["count"]),
        helper.make_node("Reshape", ["count", "flat"], ["shape"]),
        helper.make_node(
            "ConstantOfShape",
            ["shape"],
            ["filled"],
            value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
        ),
        helper.make_node("ReduceSum", ["filled"], ["total"], keepdims=0),
        helper.make_node("Mul", ["total", "zero"], ["nothing"]),
        helper.make_node("Add", ["input", "nothing"], ["value"]),
    ]
    initializers = [
        numpy_helper.from_array(np.array(100, dtype=np.float32), "hundred"),
        numpy_helper.from_array(np.array(50_000_000, dtype=np.int64), "many"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "flat"),
        numpy_helper.from_array(np.array(0, dtype=np.float32), "zero"),
    ]
    return _model(nodes, initializers)


def hanging_on_data() -> bytes:
    """Answers zeros at once, and all else after several seconds."""
    return _multiplying(1000)


def slow_on_data() -> bytes:
    """Answers zeros at once, and all else a hundred times slower than others."""
    return _multiplying(10)


@cache
def _multiplying(turns: int) -> bytes:
    """Multiplies matrices, so many times for each one that the input sums up to."""
    size = 300
    shape = [size, size]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("MatMul", ["before", "seed"], ["after"]),
        ],
        "multiply",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, shape),
        ],
    )
    filled = helper.make_tensor("filled", TensorProto.FLOAT, [1], [1 / size])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["seed"], value=filled),
        helper.make_node("Cast", ["input"], ["index"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["index"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "times"], ["turns"]),
        helper.make_node("Loop", ["turns", "yes", "seed"], ["product"], body=body),
        helper.make_node("ReduceSum", ["product"], ["total"], keepdims=0),
        helper.make_node("Mul", ["total", "zero"], ["nothing"]),
        helper.make_node("Add", ["input", "nothing"], ["value"]),
    ]
    initializers = [
        numpy_helper.from_array(np.array(shape, dtype=np.int64), "shape"),
        numpy_helper.from_array(np.array(turns, dtype=np.int64), "times"),
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.array(0, dtype=np.float32), "zero"),
    ]
    return _model(nodes, initializers)


def _model(
    nodes: list[NodeProto],
    initializers: Sequence[TensorProto] = (),
    shape: Sequence[int | None] = (None, 2),
    outputs: Sequence[ValueInfoProto] = (),
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, shape), *outputs],
        initializer=initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
