"""The same pipeline gives the same bytes, and a column may be called like anything within the graph."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnxruntime
import pandas as pd
import pytest
from estimators.data import mixed
from onnx import TensorProto
from unit.training.pod import Pod

from modelwright_training.learning import graphs

# Names of initializers and intermediate results in what the converters make.
WITHIN = [
    "weight", "a", "b", "k", "classes", "unity", "axis", "coefficient", "intercepts", "input", "variable",
    "theta", "sigma", "exponent", "coef", "negate", "threshold", "constant", "output_label", "shape_tensor",
    "inner/weight", "inner//a", "column_0",
]  # fmt: skip


def named_like_inner_tensors(target: str) -> pd.DataFrame:
    """Columns with all those names, one of them text."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, len(WITHIN))), columns=WITHIN)
    frame["text"] = random.choice(["x", "y"], 60)
    frame["y"] = frame["weight"] if target == "regression" else np.where(frame["weight"] > 0, "up", "down")
    return frame


@pytest.mark.parametrize(
    "estimator",
    [
        "ensemble.AdaBoostClassifier",
        "calibration.CalibratedClassifierCV",
        "neural_network.MLPClassifier",
        "naive_bayes.GaussianNB",
        "linear_model.SGDClassifier",
        "naive_bayes.BernoulliNB",
        "neighbors.KNeighborsClassifier",
    ],
)
def test_a_column_may_be_called_like_a_tensor_within(pod: Pod, estimator: str) -> None:
    pod.given_rows(named_like_inner_tensors("two")).given(estimator=f"sklearn.{estimator}")
    result = pod.through("fetch", "train", "publish").result
    assert [tensor["name"] for tensor in result["signature"]["inputs"]] == [*WITHIN, "text"]
    assert result["parity"]["verdict"] == "Pass"


def looping() -> onnx.ModelProto:
    """y = x + w, at most 3, computed in the body of a branch that uses the names around it."""
    float_ = TensorProto.FLOAT
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["sum"])],
        "body",
        [],
        [onnx.helper.make_tensor_value_info("sum", float_, [None])],
    )
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("If", ["yes"], ["t"], then_branch=body, else_branch=body),
            onnx.helper.make_node("Clip", ["t", "", "s"], ["y"]),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("x", float_, [None])],
        [onnx.helper.make_tensor_value_info("y", float_, [None])],
        [
            onnx.helper.make_tensor("w", float_, [1], [1.0]),
            onnx.helper.make_tensor("s", float_, [], [3.0]),
            onnx.helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        ],
    )
    graph.value_info.append(onnx.helper.make_tensor_value_info("t", float_, [None]))
    imports = [onnx.helper.make_opsetid("ai.onnx.ml", 3), onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=8)


def test_a_sparse_weight_is_renamed_too() -> None:
    model = looping()
    values = onnx.helper.make_tensor("sparse", TensorProto.FLOAT, [1], [2.0])
    places = onnx.helper.make_tensor("places", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [3]))
    graphs.settle(model, {"x": "sparse", "y": "t"})
    assert model.graph.sparse_initializer[0].values.name == "inner/sparse"


def test_names_within_branches_are_changed_with_those_around_them() -> None:
    model = looping()
    graphs.settle(model, {"x": "w", "y": "inner/t"})
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(["inner/t"], {"w": np.array([1, 5], np.float32)})[0].tolist() == [2, 3]
    assert [entry.domain for entry in model.opset_import] == ["", "ai.onnx.ml"]


TESTS = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
from unit.training.pod import Pod
pod = Pod(Path(sys.argv[1]))
for estimator in sys.argv[2:]:
    print(pod.given(estimator=f"sklearn.{estimator}").run("train").result["digest"])
"""


def test_the_bytes_depend_on_no_hash_seed_and_no_number_of_threads(pod: Pod, tmp_path: Path) -> None:
    """One converter that needs each of the operator sets, and what adds up products of matrices."""
    assert pod.given_rows(mixed("two", 150)).given(trainer={"image": "mine"}).run("fetch").code == 0
    estimators = [
        "linear_model.LogisticRegression",
        "ensemble.AdaBoostClassifier",
        "neighbors.KNeighborsClassifier",
    ]
    printed = set()
    for seed, kernels in (("1", "Haswell"), ("2", "Nehalem")):
        surroundings = {
            "PYTHONPATH": str(TESTS),
            "PYTHONHASHSEED": seed,
            "OPENBLAS_CORETYPE": kernels,
            "OMP_NUM_THREADS": seed,
        }
        printed.add(
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), *estimators],
                env={**os.environ, **surroundings},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
    assert len(printed) == 1
