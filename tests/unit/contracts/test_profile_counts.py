"""The three programs agree on profile.json: publish makes it, the server counts by it, the operator judges by it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from unit.training.pod import Pod, churn, numbers
from unit.training.test_profile import mixed
from unit.training.test_publish import model as onnx_model

from modelwright.checks.drift import Demands, judge
from modelwright.checks.monitored import Profile, Window
from modelwright_serving import model as served
from modelwright_serving.oip.request import decode
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.watching import reading, report
from modelwright_serving.watching.buffer import Buffer
from modelwright_serving.watching.places import Places
from modelwright_training.documents import load_dataset
from modelwright_training.features import frames
from modelwright_training.judging.loaded import Loaded, load
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


@dataclass(frozen=True)
class Served:
    """A model that a run has published, as a server has it, and its hold-out."""

    profile: dict[str, Any]
    places: Places
    model: served.LoadedModel
    trained: Loaded
    holdout: pd.DataFrame

    def window(self, frame: pd.DataFrame) -> dict[str, Any]:
        """What the server counts of these rows, that come in requests of BATCH rows."""
        buffer = Buffer(self.places)
        for start in range(0, len(frame), BATCH):
            rows = frame.iloc[start : start + BATCH]
            inputs = self.requested(rows)
            outputs = self.model.run(inputs)
            assert self.places.fits(inputs, outputs, len(rows))
            buffer.add(inputs, outputs, len(rows))
        return report._cells(self.places, buffer.take())

    def requested(self, rows: pd.DataFrame) -> list[Tensor]:
        """The tensors that arrive when these rows are sent as JSON."""
        inputs = self.trained.feed.feed(rows)
        request = {
            "inputs": [
                {
                    "name": tensor.name,
                    "datatype": tensor.datatype,
                    "shape": list(inputs[tensor.name].shape),
                    "data": [_sent(value) for value in inputs[tensor.name].reshape(-1).tolist()],
                }
                for tensor in self.trained.model.inputs
            ]
        }
        return decode(self.model.signature, orjson.dumps(request)).tensors(self.model.signature)


def publish(pod: Pod) -> Served:
    """Publish the model of a pod, and serve what is in the store."""
    ending = pod.run("publish")
    assert ending.code == 0, ending.document
    folder = next(pod.paths.artifacts.rglob("model.onnx")).parent
    model = served.load(folder / "model.onnx", ending.result["artifact"]["digest"], folder / "golden.json")
    found = reading.read(reading.beside(folder / "model.onnx"), model.signature)
    assert found.digest == ending.result["profile"]["digest"]
    assert found.places is not None, found.problem
    dataset = load_dataset(pod.paths.dataset)
    trained = load(modelfile.read(pod.paths.model_file), dataset)
    holdout = frames.load_rows(pod.paths.holdout_rows, dataset)
    return Served(pod.published("profile"), found.places, model, trained, holdout)


def _sent(value: Any) -> Any:
    """A missing number is null in JSON."""
    return None if isinstance(value, float) and math.isnan(value) else value


def check(found: Served) -> None:
    """The hold-out is counted as the profile has it."""
    profile, window = found.profile, found.window(found.holdout)
    assert window["features"] == [
        [*each.get("counts", []), each.get("other", 0), each["missing"], each.get("outside", 0)]
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
    check(publish(pod))


@pytest.mark.parametrize("name", OWN)
def test_so_it_is_for_models_of_other_trainers(pod: Pod, name: str) -> None:
    pod.given_rows(numbers(600).round(2)).given(trainer={"image": "mine"})
    pod.given_model(onnx_model(OWN[name]))
    assert pod.run("fetch").code == 0
    check(publish(pod))


def callers(
    random: np.random.Generator, rows: int, *, moved: float = 0, together: float = 0.8
) -> pd.DataFrame:
    """Rows of 20 features: x8 may move by some standard deviations; x0 and x1, x2 and x3 go together."""
    values = random.normal(size=(rows, 20))
    for one, other in ((0, 1), (2, 3)):
        values[:, other] = together * values[:, one] + np.sqrt(1 - together**2) * values[:, other]
    values[:, 4] = random.poisson(3, rows)
    values[:, 5] = np.where(random.random(rows) < 0.8, 0, random.gamma(2, 10, rows))
    values[:, 8] += moved
    frame = pd.DataFrame(values, columns=[f"x{place}" for place in range(20)])
    return frame.assign(plan=random.choice(["a", "b", "c", "d"], rows, p=[0.5, 0.3, 0.15, 0.05]))


def test_drift_is_found_by_what_is_published_and_counted(pod: Pod) -> None:
    random = np.random.default_rng(1)
    frame = callers(random, 10_000)
    frame["y"] = (frame.iloc[:, :9].sum(axis=1) + random.normal(size=len(frame)) > 4).astype(int)
    pod.given_rows(frame, "rows.parquet").given(estimator=TREES, data={"uri": "pvc://lake/rows.parquet"})
    assert pod.through("fetch", "train").code == 0
    found = publish(pod)
    profile = Profile.read(found.profile)

    def reasons(windows: int, rows: int, **how: float) -> list[str]:
        """Why windows of so many rows, each a caller's, are judged as they are."""
        seen = {"requests": rows, "rows": rows, "counted": rows, "squares": rows}
        judged = []
        for _ in range(windows):
            window = {**seen, **found.window(callers(random, rows, **how))}
            judged.append(judge(profile, Window.read(window, profile), Demands()))
        return [str(each.reason) for each in judged]

    assert reasons(20, 500) == ["NoDrift"] * 20
    assert reasons(20, 500, moved=0.3).count("FeatureDrift") >= 17
    assert reasons(10, 1000, together=-0.8) == ["CorrelationDrift"] * 10
