"""Numbers that float32 cannot tell apart: an offset is subtracted exactly, for the trainer and for callers alike."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from unit.training.pod import Pod
from unit.training.preparation import both, dataset, fetched, session_of

from modelwright_training.documents import Feature

START = 1_700_000_000
ID = 4_503_599_627_370_496_000  # of 19 digits


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_both_worlds_compute_the_same_numbers(rows: int) -> None:
    random = np.random.default_rng(0)
    whole = random.integers(-(2**63), 2**63 - 1, rows, endpoint=True)
    time = START + random.random(rows) * 1e8
    time[::7] = np.nan
    described = dataset(
        Feature(name="id", kind="numeric", datatype="INT64", offset=ID),
        Feature(name="time", kind="numeric", datatype="FP64", offset=START + 0.5),
        Feature(name="plain", kind="numeric"),
    )
    frame = pd.DataFrame({"id": whole, "time": time, "plain": time})
    feed: dict[str, npt.NDArray[Any]] = {"id": whole, "time": time, "plain": time.astype(np.float32)}
    ours, theirs = both(described, frame, {name: value.reshape(-1, 1) for name, value in feed.items()})
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_neighbours_of_19_digits_stay_apart() -> None:
    ids = np.arange(ID, ID + 1000)
    described = dataset(Feature(name="id", kind="numeric", datatype="INT64", offset=ID + 500))
    (ours,), (theirs,) = both(described, pd.DataFrame({"id": ids}), {"id": ids.reshape(-1, 1)})
    assert ours.tolist() == theirs.tolist() == list(range(-500, 500))


def test_whole_numbers_further_from_the_offset_than_an_int64_keep_their_side() -> None:
    ids = np.array([-(2**63), 2**63 - 1, ID, 0])
    for offset in (2**63 - 1, -(2**63)):
        described = dataset(Feature(name="id", kind="numeric", datatype="INT64", offset=offset))
        (ours,), (theirs,) = both(described, pd.DataFrame({"id": ids}), {"id": ids.reshape(-1, 1)})
        assert ours.tolist() == theirs.tolist()
        assert ((ours <= 0) if offset > 0 else (ours >= 0)).all()


@pytest.mark.parametrize(
    "name", ["inner/", "inner/pipeline/column_0", "inner/inner/prepare/0", "column_0", "größe (€)"]
)
def test_any_name_of_a_column_is_the_name_of_an_input(name: str) -> None:
    described = dataset(
        Feature(name=name, kind="numeric", datatype="FP64", offset=1),
        Feature(name="other", kind="categorical"),
    )
    session = session_of(described)
    assert [end.name for end in session.get_inputs()] == [name, "other"]
    number, text = session.run(None, {name: np.array([[3.0]]), "other": np.array([["x"]], object)})
    assert (number.tolist(), text.tolist()) == ([[2.0]], [["x"]])


def timed(threshold: int, rows: int = 300) -> pd.DataFrame:
    """Unix times over three years, half of them within 2,000 s of the threshold that decides, none within 50 s."""
    random = np.random.default_rng(1)
    far = START + random.integers(0, 3 * 365 * 86_400, rows // 2)
    near = threshold + random.integers(50, 2000, rows - rows // 2) * random.choice([-1, 1], rows - rows // 2)
    times = np.concatenate([far, near]).astype(np.float64)
    random.shuffle(times)
    return pd.DataFrame(
        {"ts": times, "x": random.random(rows).round(3), "y": (times > threshold).astype(int)}
    )


def test_a_threshold_within_100_seconds_of_three_years_is_learnt(pod: Pod) -> None:
    threshold = START + 500 * 86_400
    frame = timed(threshold)
    described = dataset(
        Feature(name="ts", kind="numeric", datatype="FP64", offset=threshold - 86_400),
        Feature(name="x", kind="numeric"),
    )
    fetched(pod, frame, described).given(
        estimator="sklearn.tree.DecisionTreeClassifier", parameters={"max_depth": 3}
    )
    published = pod.through("train", "publish").result
    metrics = {metric["name"]: metric["value"] for metric in published["metrics"]}
    assert metrics["accuracy"] == 1.0
    assert published["signature"]["inputs"][0] == {"name": "ts", "datatype": "FP64", "shape": [-1, 1]}


@pytest.mark.parametrize(
    ("estimator", "task"),
    [
        ("sklearn.linear_model.LogisticRegression", "Classification"),
        ("sklearn.linear_model.LinearRegression", "Regression"),
        ("sklearn.ensemble.HistGradientBoostingClassifier", "Classification"),
        ("sklearn.neighbors.KNeighborsClassifier", "Classification"),
    ],
)
@pytest.mark.parametrize("datatype", ["FP64", "INT64"])
def test_a_unix_time_trains_and_passes_parity(pod: Pod, estimator: str, task: str, datatype: str) -> None:
    frame = timed(START + 500 * 86_400)
    if datatype == "INT64":
        frame["ts"] = frame["ts"].astype(np.int64)
    described = dataset(
        Feature.model_validate({"name": "ts", "kind": "numeric", "datatype": datatype, "offset": START}),
        Feature(name="x", kind="numeric"),
        task=task,
    )
    fetched(pod, frame, described).given(estimator=estimator, task=task)
    published = pod.through("train", "publish").result
    assert published["parity"]["verdict"] == "Pass"
    assert [end["datatype"] for end in published["signature"]["inputs"]] == [datatype, "FP32"]


ESTIMATORS = [
    ("sklearn.linear_model.LogisticRegression", "label"),
    ("sklearn.ensemble.HistGradientBoostingClassifier", "label"),
    ("sklearn.linear_model.LinearRegression", "x"),
]


@pytest.mark.parametrize(("estimator", "target"), ESTIMATORS)
def test_unix_times_of_a_file_are_told_apart(pod: Pod, estimator: str, target: str) -> None:
    """An hour of Unix times, which float32 knows by steps of 128 s; the middle second decides."""
    random = np.random.default_rng(0)
    times = START + random.integers(0, 3600, 300)
    label = np.where(times < START + 1800, "early", "late")
    frame = pd.DataFrame({"ts": times, "x": random.random(300).round(3), "label": label})
    pod.given_rows(frame).given(estimator=estimator, data={"target": target})
    published = pod.through("fetch", "train", "publish").result
    assert published["signature"]["inputs"][0]["datatype"] == "FP64"
    assert published["parity"]["verdict"] == "Pass"
    if target == "label":
        assert {metric["name"]: metric["value"] for metric in published["metrics"]}["accuracy"] > 0.98


@pytest.mark.parametrize("scale", ["Standard", "Robust"])
@pytest.mark.parametrize("least", [2020, 100_000, 10_000_000])
def test_numbers_that_are_large_beside_their_spread_are_scaled_exactly(
    pod: Pod, least: int, scale: str
) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"year": least + random.integers(0, 4, 300), "x": random.random(300)})
    frame["y"] = (frame["year"] - least) * 3 + frame["x"]
    pod.given_rows(frame).given(estimator="sklearn.linear_model.LinearRegression")
    pod.document["trainer"]["preprocess"] = [{"kind": "numeric", "scale": scale}]
    parity = pod.through("fetch", "train", "publish").result["parity"]
    assert parity["maxDifference"] < 1e-6
