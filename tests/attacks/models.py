"""The models that are attacked, each with the rows of an honest caller."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

Array = npt.NDArray[Any]
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
HONEST_ROWS = 16
WIDE = 100_000
COLUMNS = 3_000


@dataclass(frozen=True)
class Victim:
    """A model of one input, and different rows for it."""

    content: bytes
    rows: Array
    """Of shape [callers' different rows, features], in the datatype of the input."""

    @property
    def input_name(self) -> str:
        return str(onnx.load_from_string(self.content).graph.input[0].name)


def narrow() -> Victim:
    """A logistic regression of one feature: the most rows that fit into a body. It names its classes."""
    rows = np.linspace(-2, 2, HONEST_ROWS, dtype=np.float32).reshape(-1, 1)
    classifier = LogisticRegression().fit(rows, rows[:, 0] > 0)
    model = to_onnx(classifier, rows[:1], options={"zipmap": False})
    model.metadata_props.add(key="dev.modelwright.classes", value="[false, true]")
    return Victim(model.SerializeToString(), rows)


def quantized() -> Victim:
    """A logistic regression of 30 features, quantized as it is usually done to make a file smaller."""
    data = load_breast_cancer()
    rows = StandardScaler().fit_transform(data.data).astype(np.float32)
    fitted = LogisticRegression().fit(rows, data.target)
    weights = [
        numpy_helper.from_array(fitted.coef_.T.astype(np.float32), "w"),
        numpy_helper.from_array(fitted.intercept_.astype(np.float32), "b"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["y"]),
    ]
    plain = _model(nodes, _info("x", FLOAT, "rows", 30), _info("y", FLOAT, "rows", 1), weights)
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "plain.onnx", Path(folder) / "quantized.onnx"
        before.write_bytes(plain)
        quantize_dynamic(before, after, weight_type=QuantType.QUInt8)
        return Victim(after.read_bytes(), rows[:HONEST_ROWS])


def looping() -> Victim:
    """A Loop that runs as often as the largest value of the request says."""
    carried = helper.make_graph(
        [
            helper.make_node("Add", ["was", "one"], ["sum"]),
            helper.make_node("Identity", ["go"], ["goes_on"]),
        ],
        "body",
        [_info("turn", INT64), _info("go", TensorProto.BOOL), _info("was", INT64)],
        [_info("goes_on", TensorProto.BOOL), _info("sum", INT64)],
        [numpy_helper.from_array(np.array(1, np.int64), "one")],
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["trips"], keepdims=0),
        helper.make_node("Loop", ["trips", "yes", "zero"], ["count"], body=carried),
        helper.make_node("Add", ["x", "count"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.array(0, np.int64), "zero"),
    ]
    content = _model(nodes, _info("x", INT64, "rows", 1), _info("y", INT64, "rows", 1), constants)
    return Victim(content, _small_integers())


def allocating() -> Victim:
    """Makes as many zeros as the largest value of the request says, and adds them up."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["count"], keepdims=0),
        helper.make_node("Reshape", ["count", "vector"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["total"], keepdims=0),
        helper.make_node("Cast", ["total"], ["nothing"], to=INT64),
        helper.make_node("Add", ["x", "nothing"], ["y"]),
    ]
    vector = [numpy_helper.from_array(np.array([1], np.int64), "vector")]
    content = _model(nodes, _info("x", INT64, "rows", 1), _info("y", INT64, "rows", 1), vector)
    return Victim(content, _small_integers())


def squaring() -> Victim:
    """Multiplies the columns of the request with each other, of which there may be any number."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"]),
        helper.make_node("MatMul", ["turned", "x"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["mean"], keepdims=0),
        helper.make_node("Add", ["x", "mean"], ["y"]),
    ]
    content = _model(nodes, _info("x", FLOAT, "rows", "width"), _info("y", FLOAT, "rows", "width"))
    return Victim(content, np.arange(HONEST_ROWS * 4, dtype=np.float32).reshape(HONEST_ROWS, 4))


def wide() -> Victim:
    """One number in, a hundred thousand out."""
    weights = [numpy_helper.from_array(np.linspace(0, 1, WIDE, dtype=np.float32).reshape(1, -1), "w")]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["many"]),
        helper.make_node("Identity", ["x"], ["few"]),
    ]
    given = _info("x", FLOAT, "rows", 1)
    taken = [_info("many", FLOAT, "rows", WIDE), _info("few", FLOAT, "rows", 1)]
    return Victim(_model(nodes, given, taken, weights), _small_integers().astype(np.float32))


def columns() -> Victim:
    """Three thousand named features."""
    weights = [numpy_helper.from_array(np.full((COLUMNS, 1), 0.001, np.float32), "w")]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    content = onnx.load_from_string(
        _model(nodes, _info("x", FLOAT, "rows", COLUMNS), _info("y", FLOAT, "rows", 1), weights)
    )
    names = json.dumps([f"feature {number} of this model" for number in range(COLUMNS)])
    content.metadata_props.add(key="dev.modelwright.features", value=names)
    rows = np.arange(HONEST_ROWS * COLUMNS, dtype=np.float32).reshape(HONEST_ROWS, COLUMNS) % 7
    return Victim(content.SerializeToString(), rows)


MODELS: dict[str, Callable[[], Victim]] = {
    made.__name__: made for made in (narrow, quantized, looping, allocating, squaring, wide, columns)
}


def _small_integers() -> Array:
    return np.arange(1, HONEST_ROWS + 1, dtype=np.int64).reshape(-1, 1)


def _info(name: str, kind: int, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _model(
    nodes: list[onnx.NodeProto],
    given: onnx.ValueInfoProto,
    taken: onnx.ValueInfoProto | list[onnx.ValueInfoProto],
    constants: list[TensorProto] | None = None,
) -> bytes:
    outputs = taken if isinstance(taken, list) else [taken]
    graph = helper.make_graph(nodes, "victim", [given], outputs, initializer=constants or [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return bytes(model.SerializeToString())
