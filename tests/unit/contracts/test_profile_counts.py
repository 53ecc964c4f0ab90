"""The server counts the rows of the hold-out into the very counts of the profile that publish has made of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from unit.training.pod import Pod, churn, numbers
from unit.training.test_profile import mixed
from unit.training.test_publish import model as onnx_model

from modelwright_serving import model as served
from modelwright_serving.oip.request import decode
from modelwright_serving.watching import reading, report
from modelwright_serving.watching.buffer import Buffer
from modelwright_serving.watching.places import Places
from modelwright_training.documents import load_dataset
from modelwright_training.features import frames
from modelwright_training.judging.loaded import load
from modelwright_training.onnxfile import modelfile

TREES = "sklearn.ensemble.HistGradientBoostingClassifier"
FOREST = "sklearn.ensemble.RandomForestRegressor"
# Rows of a request.
BATCH = 37


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def three_classes() -> pd.DataFrame:
    frame = churn(900)
    frame["y"] = np.select([frame["y"] == "stays", frame["age"] > 50], ["stays", "asks"], "leaves")
    return frame


def prices() -> pd.DataFrame:
    frame = churn(900).drop(columns="y")
    frame["y"] = frame["age"].fillna(40) * 1e4 + frame["fee (EUR)"].fillna(0) ** 2
    return frame


def ids() -> pd.DataFrame:
    """Whole numbers that neither float32 nor float64 tells apart."""
    frame = numbers(900)
    frame["id"] = 2**62 + np.random.default_rng(0).integers(0, 10_000, 900)
    frame["when"] = 1_764_000_000_000_000 + np.random.default_rng(1).integers(0, 10**9, 900)
    return frame


PUBLISHED: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "a column of each kind": (mixed(1500), {"estimator": TREES}),
    "a matrix": (numbers(900), {"estimator": "sklearn.linear_model.LogisticRegression"}),
    "scores": (numbers(900), {"estimator": "sklearn.svm.LinearSVC"}),
    "three classes": (three_classes(), {"estimator": TREES}),
    "a regression": (prices(), {"estimator": FOREST, "parameters": {"n_estimators": 10}}),
    "wide numbers": (ids(), {"estimator": TREES}),
    "a few rows": (numbers(60), {"estimator": TREES}),
}
OWN = {
    "one column of probabilities": """agraph (float[N,1] x3, float[N] x1) => (float[N,1] probability)
    { probability = Sigmoid(x3) }""",
    "one column of scores": "agraph (float[N,1] x3) => (float[N,1] scores) { scores = Identity(x3) }",
    "labels alone": """agraph (double[N,5] rows) => (int32[N,1] label)
    <int64[1] a = {1}, double z = {0.0}> { s = ReduceSum(rows, a) b = Greater(s, z) label = Cast<to=6>(b) }""",
    "half precision": """agraph (float16[N,5] rows) => (float16[N,2] probabilities)
    <int64[1] a = {1}> { s = ReduceSum(rows, a) t = Neg(s) z = Concat<axis=1>(t, s)
    probabilities = Softmax(z) }""",
}


def counted(pod: Pod) -> tuple[dict[str, Any], dict[str, Any]]:
    """The profile that publish leaves, and what a server of the model counts of the hold-out's rows."""
    ending = pod.run("publish")
    assert ending.code == 0, ending.document
    folder = next(pod.paths.artifacts.rglob("model.onnx")).parent
    model = served.load(folder / "model.onnx", ending.result["artifact"]["digest"], folder / "golden.json")
    found = reading.read(reading.beside(folder / "model.onnx"), model.signature)
    assert found.digest == ending.result["profile"]["digest"]
    assert found.places is not None, found.problem
    profile = pod.published("profile")
    return profile, _window(pod, found.places, model)


def _window(pod: Pod, places: Places, model: served.LoadedModel) -> dict[str, Any]:
    dataset = load_dataset(pod.paths.dataset)
    trained = load(modelfile.read(pod.paths.model_file), dataset)
    holdout = frames.load_rows(pod.paths.holdout_rows, dataset)
    buffer = Buffer(places)
    for start in range(0, len(holdout), BATCH):
        inputs = trained.feed.feed(holdout.iloc[start : start + BATCH])
        request = {
            "inputs": [
                {
                    "name": tensor.name,
                    "datatype": tensor.datatype,
                    "shape": list(inputs[tensor.name].shape),
                    "data": [_sent(value) for value in inputs[tensor.name].reshape(-1).tolist()],
                }
                for tensor in trained.model.inputs
            ]
        }
        tensors = decode(model.signature, orjson.dumps(request)).tensors(model.signature)
        rows = len(holdout.iloc[start : start + BATCH])
        outputs = model.run(tensors)
        assert places.fits(tensors, outputs, rows)
        buffer.add(tensors, outputs, rows)
    return report._cells(places, buffer.take())


def _sent(value: Any) -> Any:
    """A missing number is null in JSON."""
    return None if isinstance(value, float) and math.isnan(value) else value


def check(profile: dict[str, Any], window: dict[str, Any]) -> None:
    assert window["features"] == [
        [
            *each.get("counts", []),
            each.get("other", 0),
            each["missing"],
            each.get("outside", 0),
        ]
        for each in profile["features"]
    ]
    expected = profile["projections"]
    assert window["projections"] == (expected and expected["counts"])
    said = profile["predictions"]
    names = ("counts", "outside") if "edges" in said else ("labels", "scores", "confidence")
    assert window["predictions"] == {name: said[name] for name in names}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_hold_out_is_counted_as_its_profile_has_it(pod: Pod, name: str) -> None:
    frame, recipe = PUBLISHED[name]
    pod.given_rows(frame, "rows.parquet").given(**recipe, data={"uri": "pvc://lake/rows.parquet"})
    assert pod.through("fetch", "train").code == 0
    check(*counted(pod))


@pytest.mark.parametrize("name", OWN)
def test_so_it_is_for_models_of_other_trainers(pod: Pod, name: str) -> None:
    pod.given_rows(numbers(600).round(2)).given(trainer={"image": "mine"})
    pod.given_model(onnx_model(OWN[name]))
    assert pod.run("fetch").code == 0
    check(*counted(pod))
