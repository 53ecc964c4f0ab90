"""The models that the bench serves, and what ONNX Runtime itself answers to their rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Rows = npt.NDArray[np.float64]
HEAVY_ROWS = 32
HEAVY_MS = 1.0
FEATURES = 30


@dataclass(frozen=True)
class Model:
    """An ONNX file, rows for it as its users have them, and the session that knows the right answers."""

    path: Path
    rows: Rows
    session: ort.InferenceSession

    @property
    def input_name(self) -> str:
        return str(self.session.get_inputs()[0].name)

    def answers(self, rows: Rows) -> dict[str, npt.NDArray[np.float64]]:
        """Each output's elements, row by row."""
        names = [output.name for output in self.session.get_outputs()]
        found = self.session.run(names, {self.input_name: rows.astype(np.float32)})
        return {
            name: values.astype(np.float64).reshape(-1) for name, values in zip(names, found, strict=True)
        }


def logistic_regression(folder: Path) -> Model:
    """Scaling and a logistic regression over 30 features, as scikit-learn users export it."""
    rows, classes = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, classes)
    content = to_onnx(pipeline, rows[:1].astype(np.float32), options={"zipmap": False}).SerializeToString()
    return written(folder / "logistic.onnx", content, rows)


def heavy(folder: Path) -> tuple[Model, int]:
    """A network of two hidden layers, as wide as it takes for 32 rows to cost a millisecond; and its width."""
    rows = load_breast_cancer().data
    narrow, wide = 64, 4096
    while wide - narrow > 32:
        width = (narrow + wide) // 2
        if batch_ms(_session(_network(width)), HEAVY_ROWS) < HEAVY_MS:
            narrow = width
        else:
            wide = width
    return written(folder / "heavy.onnx", _network(wide), rows), wide


def batch_ms(session: ort.InferenceSession, rows: int, runs: int = 15) -> float:
    """Milliseconds that a hot run of so many rows takes: the fastest third, for others use this core as well."""
    batch = {session.get_inputs()[0].name: np.zeros((rows, FEATURES), np.float32)}
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        session.run(None, batch)
        taken.append(time.perf_counter() - began)
    return sorted(taken)[runs // 3] * 1000


def written(path: Path, content: bytes, rows: Rows) -> Model:
    """The model of these bytes, in a file."""
    path.write_bytes(content)
    return Model(path, rows, _session(content))


def _session(content: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _network(width: int) -> bytes:
    random = np.random.default_rng(0)
    sizes = ((FEATURES, width), (width, width), (width, 2))
    weights = [
        numpy_helper.from_array(
            (random.standard_normal(size) / 50 / size[0]).astype(np.float32), f"w{number}"
        )
        for number, size in enumerate(sizes)
    ]
    nodes = [
        helper.make_node("MatMul", ["input", "w0"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w1"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "w2"], ["e"]),
        helper.make_node("Softmax", ["e"], ["probabilities"], axis=-1),
    ]
    given, taken = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", size])
        for name, size in (("input", FEATURES), ("probabilities", 2))
    )
    graph = helper.make_graph(nodes, "heavy", [given], [taken], initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
