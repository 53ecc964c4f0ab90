"""Models and requests for the tests of the suite: between them every check applies."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

KINDS = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FLOAT", "DOUBLE", "STRING"),
)


@dataclass(frozen=True)
class Sample:
    """A model, and a valid request where made-up values would not do."""

    content: bytes
    request: bytes | None = None

    def written(self, folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(self.content)
        return path


def classifier() -> Sample:
    """One matrix of numbers in; a label and probabilities out."""
    data = load_breast_cancer()
    rows = data.data.astype(np.float32)
    labels = np.array(["malignant", "benign"])[data.target]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    content = to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString()
    picked = rows[18:27]  # the first is malignant, the next two are not
    tensor = {"name": "X", "datatype": "FP32", "shape": list(picked.shape), "data": picked.tolist()}
    return Sample(content, json.dumps({"inputs": [tensor]}).encode())


def columns() -> Sample:
    """One input for each column, texts among them."""
    frame = pd.DataFrame({"plan": ["free", "pro", "free", "team"], "age": [20.0, 40.0, 30.0, 50.0]})
    encoded = ColumnTransformer([("plan", OneHotEncoder(), ["plan"]), ("age", StandardScaler(), ["age"])])
    model = make_pipeline(encoded, LogisticRegression()).fit(frame, ["stay", "go", "stay", "go"])
    types = [("plan", StringTensorType([None, 1])), ("age", FloatTensorType([None, 1]))]
    content = to_onnx(model, initial_types=types, options={"zipmap": False}).SerializeToString()
    inputs: list[dict[str, Any]] = [
        {"name": "plan", "datatype": "BYTES", "shape": [4, 1], "data": list(frame["plan"])},
        {"name": "age", "datatype": "FP32", "shape": [4, 1], "data": list(frame["age"])},
    ]
    return Sample(content, json.dumps({"inputs": inputs}).encode())


def every_datatype() -> Sample:
    """Gives back what it takes, in every datatype that has typed contents in gRPC."""
    return Sample(_identity(KINDS))


def half_precision() -> Sample:
    """Gives back FP16, for which gRPC has no typed contents."""
    return Sample(_identity(("FLOAT16",)))


ALL = {
    "classifier": classifier,
    "columns": columns,
    "every_datatype": every_datatype,
    "half_precision": half_precision,
}


def _identity(kinds: tuple[str, ...]) -> bytes:
    nodes = [helper.make_node("Identity", [f"in_{kind}"], [f"out_{kind}"]) for kind in kinds]
    inputs, outputs = (
        [
            helper.make_tensor_value_info(f"{way}_{kind}", getattr(TensorProto, kind), [None, 2])
            for kind in kinds
        ]
        for way in ("in", "out")
    )
    graph = helper.make_graph(nodes, "identity", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return bytes(model.SerializeToString())
