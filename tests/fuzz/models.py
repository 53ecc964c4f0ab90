"""Small real models for the layers: what each answers to a row can be said without running it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import onnx
from onnx import TensorProto, helper

from fuzz.reference import Reference
from modelwright_serving.oip.signature import Signature
from modelwright_serving.runtime import open_session, signature_of

FLOAT = TensorProto.FLOAT


@dataclass(frozen=True)
class Model:
    """A model, what the server says it takes and gives, and how it is run without the server."""

    content: bytes

    @cached_property
    def signature(self) -> Signature:
        return signature_of(open_session(self.content))

    @cached_property
    def reference(self) -> Reference:
        return Reference(self.content)


def doubled() -> bytes:
    """A matrix of two columns, doubled: rows may share a run."""
    nodes = [helper.make_node("Add", ["x", "x"], ["y"])]
    return _model(nodes, [_value("x", ["rows", 2])], [_value("y", ["rows", 2])])


def any_width() -> bytes:
    """A matrix of any width, and the sum of each row."""
    nodes = [
        helper.make_node("Identity", ["x"], ["y"]),
        helper.make_node("ReduceSum", ["x", "axes"], ["total"], keepdims=0),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    outputs = [_value("y", ["rows", "width"]), _value("total", ["rows"])]
    return _model(nodes, [_value("x", ["rows", "width"])], outputs, [axes])


def fixed_shape() -> bytes:
    """Exactly two rows of three numbers."""
    nodes = [helper.make_node("Neg", ["x"], ["y"])]
    return _model(nodes, [_value("x", [2, 3])], [_value("y", [2, 3])])


def two_inputs() -> bytes:
    """Text beside numbers: each given back, so that a mix-up of rows or columns would show."""
    nodes = [
        helper.make_node("Identity", ["word"], ["said"]),
        helper.make_node("Neg", ["number"], ["negative"]),
    ]
    inputs = [_value("word", ["rows", 1], TensorProto.STRING), _value("number", ["rows"], TensorProto.INT64)]
    outputs = [
        _value("said", ["rows", 1], TensorProto.STRING),
        _value("negative", ["rows"], TensorProto.INT64),
    ]
    return _model(nodes, inputs, outputs)


def _value(name: str, shape: list[str | int], kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[TensorProto] | None = None,
) -> bytes:
    graph = helper.make_graph(nodes, "fuzz", inputs, outputs, initializer=initializers or [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return bytes(model.SerializeToString())
