"""profile.json is the hold-out in counts, as a server counts the same rows, and gives no row or rare value away."""

import json
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx.helper
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from unit.training import recounted
from unit.training.pod import Json, Pod, churn, numbers
from unit.training.test_publish import model

from modelwright_training.documents import load_dataset
from modelwright_training.features import frames
from modelwright_training.files import digest_of
from modelwright_training.judging.loaded import Loaded, load
from modelwright_training.judging.profile import cells, document, features
from modelwright_training.judging.profile.document import MAX_BYTES, _bounded
from modelwright_training.onnxfile import modelfile

TREES = "sklearn.ensemble.HistGradientBoostingClassifier"


def profiled(pod: Pod) -> tuple[Json, Loaded, pd.DataFrame]:
    """The profile that a run has published, its model and its hold-out."""
    ending = pod.run("publish")
    assert ending.code == 0, ending.document
    (path,) = pod.paths.artifacts.rglob("profile.json")
    assert ending.result["profile"]["digest"] == digest_of(path.read_bytes())
    dataset = load_dataset(pod.paths.dataset)
    loaded = load(modelfile.read(pod.paths.model_file), dataset)
    return pod.published("profile"), loaded, frames.load_rows(pod.paths.holdout_rows, dataset)


def check_counts(profile: Json, loaded: Loaded, holdout: pd.DataFrame) -> None:
    """The rows of the hold-out, sent as a request, are counted as the profile has them."""
    arrived = recounted.as_sent(loaded.model, loaded.feed.feed(holdout))
    rows = recounted.columns(profile, arrived)
    for feature in profile["features"]:
        assert recounted.counted(feature, rows[feature["name"]]) == feature
    if profile["projections"]:
        assert recounted.projected(profile, rows) == profile["projections"]["counts"]


def mixed(rows: int) -> pd.DataFrame:
    """A column of each kind, with what is odd in them."""
    random = np.random.default_rng(3)
    frame = churn(rows)
    frame["tenths"] = random.integers(0, 8, rows) / 10
    frame["mostly nothing"] = np.where(random.random(rows) < 0.9, 0.0, random.gamma(2, 1e5, rows).round(3))
    frame["huge"] = np.where(random.random(rows) < 0.2, 1e38, random.normal(0, 1e-5, rows))
    frame["when"] = 1_764_000_000 + random.integers(0, 5000, rows)
    frame["flag"] = random.random(rows) < 0.3
    frame["day"] = [f"2026-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(rows)]
    words = ["alpha", "beta", "größer", "delta", "the", "of"]
    frame["note"] = [" ".join(random.choice(words, 3 + n % 9)) for n in range(rows)]
    frame["town"] = [f"town {int(n)}" for n in random.gamma(1, 30, rows)]
    return frame


def test_a_server_gets_the_counts_of_the_profile_from_the_same_rows(pod: Pod) -> None:
    pod.given_rows(mixed(1500)).given(estimator=TREES)
    pod.through("fetch", "train")
    profile, loaded, holdout = profiled(pod)
    check_counts(profile, loaded, holdout)
    kinds = {feature["name"]: feature for feature in profile["features"]}
    assert kinds["tenths"]["values"] == [float(np.float32(tenth / 10)) for tenth in range(8)]
    assert kinds["flag"]["values"] == [0, 1]
    assert len(kinds["mostly nothing"]["edges"]) >= 2
    assert kinds["mostly nothing"]["counts"][0] > 0.85 * profile["rows"]
    assert len(kinds["huge"]["edges"]) >= 8
    assert len(kinds["when"]["edges"]) == 9, "seconds of an hour are told apart"
    assert kinds["day"] == {"name": "day", "kind": "date", "missing": 0}
    assert kinds["note"]["kind"] == "text"
    assert kinds["town"]["other"] > 0
    assert sum(profile["predictions"]["labels"]) == profile["rows"] == len(holdout)
    assert sum(profile["predictions"]["confidence"]) == len(holdout)


@pytest.mark.parametrize("kind", ["float", "double", "float16", "int64"])
def test_a_matrix_is_counted_column_by_column_in_its_type(pod: Pod, kind: str) -> None:
    frame = numbers(400)
    frame[["x0", "x1"]] = (frame[["x0", "x1"]] * 3).round()
    frame.iloc[:, :5] = frame.iloc[:, :5].round(0 if kind == "int64" else 6)
    pod.given_rows(frame).given(trainer={"image": "mine"})
    made = model(f"""agraph ({kind}[N,5] rows) => (int64[N] label)
    {{ s = ReduceSum<keepdims=0>(rows, a) z = CastLike(zero, s) b = Greater(s, z) label = Cast<to=7>(b) }}""")
    made.graph.initializer.append(onnx.helper.make_tensor("a", onnx.TensorProto.INT64, [1], [1]))
    made.graph.initializer.append(onnx.helper.make_tensor("zero", onnx.TensorProto.FLOAT, [], [0.0]))
    assert pod.given_model(made).run("fetch").code == 0
    profile, loaded, holdout = profiled(pod)
    assert profile["input"] == "rows"
    check_counts(profile, loaded, holdout)
    said = profile["predictions"]
    assert (said["label"], said["table"], said["scores"], said["confidence"]) == ("label", None, None, None)
    assert sum(said["labels"]) == len(holdout)


def test_features_that_a_model_does_not_take_are_not_counted(pod: Pod) -> None:
    pod.given_rows(numbers(200)).given(trainer={"image": "mine"})
    pod.given_model(
        model("agraph (float[N,1] x3, float[N] x1) => (float[N,1] probability) { probability = Sigmoid(x3) }")
    )
    assert pod.run("fetch").code == 0
    profile, loaded, holdout = profiled(pod)
    assert [feature["name"] for feature in profile["features"]] == ["x1", "x3"]
    check_counts(profile, loaded, holdout)
    assert (profile["predictions"]["label"], profile["predictions"]["table"]) == (None, "probability")
    assert sum(profile["predictions"]["scores"]) == len(holdout)


def test_a_regression_is_counted_by_its_values(pod: Pod) -> None:
    pod.given(data={"uri": "sklearn://diabetes", "target": "target"}, estimator="sklearn.linear_model.Ridge")
    pod.through("fetch", "train")
    profile, loaded, holdout = profiled(pod)
    said = profile["predictions"]
    assert (profile["task"], profile["classes"], said["value"]) == ("regression", None, "value")
    values = loaded.predict(holdout).values
    assert values is not None
    assert recounted.in_cells(said, values.tolist()) == {"counts": said["counts"], "outside": said["outside"]}
    check_counts(profile, loaded, holdout)


def test_no_value_of_a_few_rows_is_in_it(pod: Pod) -> None:
    frame = churn(600)
    frame.loc[:20, "plan"] = [f"of Mrs Smith {n}" for n in range(21)]
    frame.loc[0:5, "age"] = 123.456
    pod.given_rows(frame).given(data={"holdout": {"fraction": 0.5}})
    pod.through("fetch", "train")
    profile, _, _ = profiled(pod)
    text = json.dumps(profile)
    assert "Smith" not in text
    assert "123.4" not in text
    for feature in profile["features"]:
        assert all(count >= 10 for count in feature.get("counts", []))


def test_a_hold_out_of_twenty_rows_and_of_two_is_described(pod: Pod) -> None:
    for rows in (100, 12):
        pod.given_rows(numbers(rows)).given(data={"holdout": {"fraction": 0.2}})
        pod.through("fetch", "train")
        shutil.rmtree(pod.paths.artifacts / "churn", ignore_errors=True)
        profile, loaded, holdout = profiled(pod)
        check_counts(profile, loaded, holdout)
        assert all(feature["low"] is None for feature in profile["features"])


def column(values: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


NAN = float("nan")
ODD: dict[str, tuple[list[float], Json]] = {
    "constant": ([4.0] * 50, {"values": [4.0], "counts": [50], "other": 0, "missing": 0}),
    "missing everywhere": (
        [NAN] * 50,
        {"edges": [], "low": None, "high": None, "counts": [0], "outside": 0, "missing": 50},
    ),
    "none": ([], {"edges": [], "low": None, "high": None, "counts": [0], "outside": 0, "missing": 0}),
    "infinite": (
        [float("inf")] * 60 + [-float("inf")] * 60,
        {
            "edges": [0.0],
            "low": -cells.LARGEST,
            "high": cells.LARGEST,
            "counts": [60, 60],
            "outside": 120,
            "missing": 0,
        },
    ),
    "two signs of zero": ([0.0, -0.0] * 20, {"values": [0.0], "counts": [40], "other": 0, "missing": 0}),
    "beyond 2^53": (
        [float(2**62 + n) for n in range(40)],
        {"values": [float(2**62)], "counts": [40], "other": 0, "missing": 0},
    ),
    "one rare value": ([1.0] * 99 + [7.0], {"values": [1.0], "counts": [99], "other": 1, "missing": 0}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_columns(name: str) -> None:
    values, expected = ODD[name]
    assert features.numeric(column(values)) == expected


NUMBERS = arrays.arrays(
    st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.bool_]), st.integers(0, 400)
)


@settings(max_examples=150, deadline=None)
@given(NUMBERS, st.integers(1, 60))
def test_any_numbers_are_counted_by_the_one_rule(array: npt.NDArray[Any], distinct: int) -> None:
    values = np.resize(array[:distinct], len(array)).astype(np.float64)
    found = features.numeric(values)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert recounted.counted({**found, "kind": "numeric"}, values.tolist()) == {**found, "kind": "numeric"}
    assert sum(found["counts"]) + found["missing"] + found.get("other", 0) == len(values)
    edges = found.get("edges", [])
    assert len(edges) <= 9
    assert edges == sorted(set(edges))
    assert len(edges) == 0 or min(found["counts"]) >= 10
    if found.get("low") is not None:
        assert found["low"] <= found["high"]
        assert found["outside"] <= 18 + np.isinf(values).sum()


def test_thousands_of_categories_are_bounded() -> None:
    towns = np.array([f"town {n // 12}" for n in range(60_000)] + [""] * 7, dtype=object)
    found = features.categorical(towns)
    assert len(found["values"]) == 50
    assert found["other"] == 60_000 - 50 * 12
    assert found["missing"] == 7


def test_frequent_numbers_have_cells_of_their_own() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([np.zeros(700), random.normal(50, 5, 150), random.normal(-50, 5, 150)])
    found = features.numeric(random.permutation(values))
    assert max(found["counts"]) == 700


@pytest.mark.parametrize("spread", [1e-6, 1e-3, 1.0, 1e12])
def test_edges_follow_the_spread_wherever_the_values_lie(spread: float) -> None:
    values = 1e6 + spread * np.random.default_rng(0).normal(size=1000)
    assert all(count >= 90 for count in features.numeric(values)["counts"])


def test_a_profile_fits_a_mebibyte() -> None:
    texts = [f"{'x' * 240}{n}" for n in range(50)]
    wide = [
        {
            "name": f"f{n}",
            "kind": "categorical",
            "values": texts,
            "counts": [10] * 50,
            "other": 0,
            "missing": 0,
        }
        for n in range(1000)
    ]
    content = _bounded({"features": wide, "leftOut": 0, "projections": {"features": [0]}})
    short = json.loads(content)
    assert MAX_BYTES * 0.9 < len(content) <= MAX_BYTES
    assert short["projections"] is None
    assert short["features"] == wide[: len(short["features"])]
    assert short["leftOut"] == 1000 - len(short["features"])


def test_of_many_rows_a_choice_is_counted(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_ROWS", 1000)
    pod.given_rows(mixed(2500)).given(estimator=TREES, data={"holdout": {"fraction": 0.5}})
    pod.through("fetch", "train")
    profile, _, holdout = profiled(pod)
    assert profile["rows"] == 1000 < len(holdout)
    for feature in profile["features"]:
        counts = [*feature.get("counts", []), feature.get("other", 0), feature["missing"]]
        assert feature["kind"] == "date" or sum(counts) == 1000
    assert sum(profile["predictions"]["labels"]) == sum(profile["predictions"]["scores"]) == 1000
    assert all(sum(counts) == 1000 for counts in profile["projections"]["counts"])


def test_a_defect_in_counting_costs_no_trained_model(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "OF_KIND", {})
    pod.given_rows(numbers(100))
    ending = pod.through("fetch", "train", "publish")
    assert "profile" not in ending.result
    assert ending.result["evaluation"]["notes"][0].startswith("no profile.json")
    assert not list(pod.paths.artifacts.rglob("profile.json"))


def test_the_same_inputs_give_the_same_bytes(pod: Pod) -> None:
    pod.given_rows(mixed(400)).given(estimator=TREES)
    pod.through("fetch", "train")
    first = pod.run("publish").result["profile"]
    for path in pod.paths.artifacts.rglob("profile.json"):
        path.unlink()
    assert pod.run("publish").result["profile"] == first
    assert pod.published("profile"), "a store that lacks the file gets it from the next run"
