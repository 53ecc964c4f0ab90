"""Real ONNX models for the tests, each showing one trait that a server has to cope with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pandas as pd
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelwright_serving.runtime import open_session

FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64


@dataclass(frozen=True)
class Cancer:
    """A classifier of the breast cancer data: one matrix in, a label and probabilities out."""

    content: bytes
    rows: npt.NDArray[np.float32]
    classes: tuple[str, ...] = ("malignant", "benign")

    @property
    def features(self) -> int:
        return int(self.rows.shape[1])


def cancer() -> Cancer:
    data = load_breast_cancer()
    rows = data.data.astype(np.float32)
    names = np.array(["malignant", "benign"])[data.target]
    classifier = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(rows, names)
    model = to_onnx(classifier, rows[:1], options={"zipmap": False})
    for key, value in (("classes", ["benign", "malignant"]), ("features", list(data.feature_names))):
        model.metadata_props.add(key=f"dev.modelwright.{key}", value=json.dumps(value))
    return Cancer(model.SerializeToString(), rows)


def plans() -> bytes:
    """A classifier over named columns of text and numbers."""
    frame = pd.DataFrame({"plan": ["free", "pro", "free", "team"], "age": [20.0, 40.0, 30.0, 50.0]})
    columns = ColumnTransformer([("plan", OneHotEncoder(), ["plan"]), ("age", StandardScaler(), ["age"])])
    classifier = make_pipeline(columns, LogisticRegression()).fit(frame, ["stay", "go", "stay", "go"])
    types = [("plan", StringTensorType([None, 1])), ("age", FloatTensorType([None, 1]))]
    return bytes(to_onnx(classifier, initial_types=types, options={"zipmap": False}).SerializeToString())


def every_datatype() -> bytes:
    """Gives back what it takes, in each datatype of the protocol."""
    kinds = [
        *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
        *("FLOAT16", "FLOAT", "DOUBLE", "STRING"),
    ]
    nodes = [helper.make_node("Identity", [f"in_{kind}"], [f"out_{kind}"]) for kind in kinds]
    inputs, outputs = (
        [helper.make_tensor_value_info(f"{way}_{k}", getattr(TensorProto, k), [None, 2]) for k in kinds]
        for way in ("in", "out")
    )
    return model(nodes, inputs, outputs)


def share_of_batch(width: int = 2) -> bytes:
    """Divides each row by the sum of all rows: rows that share a run change each other."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=1),
        helper.make_node("Div", ["x", "total"], ["y"]),
    ]
    return model(nodes, [matrix("x", width)], [matrix("y", width)])


def sum_of_row(width: int) -> bytes:
    """The sum of the numbers of each row."""
    axes = helper.make_tensor("axes", INT64, [1], [1])
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)]
    total = helper.make_tensor_value_info("y", FLOAT, ["rows"])
    return model(nodes, [matrix("x", width)], [total], [axes])


def fails_on_large_numbers() -> bytes:
    """Looks rows up in a table of 8 entries: an index outside it fails the whole run."""
    table = helper.make_tensor("table", FLOAT, [8], [float(10 * index) for index in range(8)])
    nodes = [helper.make_node("Gather", ["table", "index"], ["value"])]
    index = helper.make_tensor_value_info("index", INT64, ["rows"])
    value = helper.make_tensor_value_info("value", FLOAT, ["rows"])
    return model(nodes, [index], [value], [table])


def slow(products: int) -> bytes:
    """Doubles its rows, and multiplies large matrices meanwhile: 5 to 20 ms for each product."""
    size = 500
    seed = helper.make_tensor("seed", FLOAT, [size, size], np.full(size * size, 1 / size, np.float32))
    zero = helper.make_tensor("zero", FLOAT, [], [0.0])
    last = helper.make_tensor("last", INT64, [], [1])
    nodes = [
        # What depends on nothing but constants would be computed when the model is loaded.
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "last"], ["width"]),
        helper.make_node("Cast", ["width"], ["number"], to=FLOAT),
        helper.make_node("Mul", ["number", "zero"], ["nothing"]),
        helper.make_node("Add", ["seed", "nothing"], ["product0"]),
        *(
            helper.make_node("MatMul", [f"product{number}", "seed"], [f"product{number + 1}"])
            for number in range(products)
        ),
        helper.make_node("ReduceMax", [f"product{products}"], ["total"], keepdims=0),
        helper.make_node("Mul", ["total", "zero"], ["none"]),
        helper.make_node("Add", ["x", "x"], ["double"]),
        helper.make_node("Add", ["double", "none"], ["y"]),
    ]
    return model(nodes, [matrix("x")], [matrix("y")], [seed, zero, last])


def loops() -> bytes:
    """Counts up to the largest of its numbers, one by one: how long a run takes is up to the caller."""
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["go"]), helper.make_node("Add", ["count", "one"], ["next"])],
        "body",
        [scalar("trip", INT64, []), scalar("on", TensorProto.BOOL, []), scalar("count", INT64, [])],
        [scalar("go", TensorProto.BOOL, []), scalar("next", INT64, [])],
    )
    constants = [
        helper.make_tensor("one", INT64, [], [1]),
        helper.make_tensor("zero", INT64, [], [0]),
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
    ]
    nodes = [
        helper.make_node("ReduceMax", ["n"], ["trips"], keepdims=0),
        helper.make_node("Loop", ["trips", "true", "zero"], ["counted"], body=body),
        helper.make_node("Mul", ["counted", "zero"], ["nothing"]),
        helper.make_node("Add", ["n", "nothing"], ["m"]),
    ]
    rows = ["rows"]
    return model(nodes, [scalar("n", INT64, rows)], [scalar("m", INT64, rows)], constants)


def fails_always() -> bytes:
    """Loads, but no single row can take the shape it asks for."""
    shape = helper.make_tensor("shape", INT64, [2], [3, 7])
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    return model(nodes, [matrix("x")], [helper.make_tensor_value_info("y", FLOAT, [3, 7])], [shape])


def unknown_operator() -> bytes:
    return model([helper.make_node("Steal", ["x"], ["y"], domain="evil")], [matrix("x")], [matrix("y")])


def data_beside_it(folder: Path) -> bytes:
    """Keeps its weights in a file of its own in `folder`."""
    (folder / "weights.bin").write_bytes(np.array([1.0, 2.0], np.float32).tobytes())
    weights = TensorProto(name="w", data_type=FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "8")):
        weights.external_data.add(key=key, value=value)
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [matrix("x")], [matrix("y")], [weights])


def matrix(name: str, width: int = 2) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, ["rows", width])


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[TensorProto] | None = None,
    operators: list[onnx.OperatorSetIdProto] | None = None,
) -> bytes:
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializer=initializers or [])
    versions = operators or [helper.make_opsetid("", 20), helper.make_opsetid("evil", 1)]
    return bytes(helper.make_model(graph, opset_imports=versions, ir_version=9).SerializeToString())


def golden(content: bytes, feed: dict[str, npt.NDArray[Any]], tolerance: float = 1e-6) -> dict[str, Any]:
    """The golden request for a model: what ONNX Runtime answers to these rows."""
    session = open_session(content)
    answers = zip(session.get_outputs(), session.run(None, feed), strict=True)
    return {
        "request": {"inputs": [_payload(name, rows) for name, rows in feed.items()]},
        "response": {"outputs": [_payload(output.name, found) for output, found in answers]},
        "tolerance": {"absolute": tolerance, "relative": tolerance},
    }


def _payload(name: str, values: npt.NDArray[Any]) -> dict[str, Any]:
    datatype = {"f": "FP32", "i": "INT64", "O": "BYTES"}[values.dtype.kind]
    return {"name": name, "datatype": datatype, "shape": list(values.shape), "data": values.ravel().tolist()}
