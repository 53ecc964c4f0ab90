"""The steps as a pod runs them: the console script, one process per step, over real folders."""

from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from unit.training.pod import Json, Pod, churn

STEPS = ("fetch", "train", "publish")


PROGRESS = [
    "Fetching sklearn://breast_cancer",
    "Read 569 rows and 31 columns (csv)",
    "Wrote 455 rows to learn from and 114 to score on",
]


def run_all(pod: Pod) -> Json:
    for step in STEPS:
        ending = pod.run_command(step)
        assert ending.code == 0, ending.document
    return ending.result


def test_a_bundled_classification_goes_from_data_to_a_stored_model(
    pod: Pod, capfd: pytest.CaptureFixture[str]
) -> None:
    pod.given(
        data={"uri": "sklearn://breast_cancer", "target": "target"},
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
    )
    result = run_all(pod)

    metrics = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert metrics["roc_auc"] > 0.95
    out, err = capfd.readouterr()
    assert out.splitlines()[:3] == PROGRESS
    assert err == ""
    assert result["parity"]["verdict"] == "Pass"
    digest = result["artifact"]["digest"]
    folder = pod.paths.artifacts / "churn" / digest.replace(":", "-")
    assert sorted(path.name for path in folder.iterdir()) == [
        ".run.default.churn.1",
        "card.md",
        "golden.json",
        "model.onnx",
        "profile.json",
        "report.json",
    ]
    assert result["artifact"]["uri"] == f"pvc://modelwright-artifacts/churn/{folder.name}/model.onnx"


def test_a_bundled_regression_goes_from_data_to_a_stored_model(pod: Pod) -> None:
    pod.given(data={"uri": "sklearn://diabetes", "target": "target"}, estimator="sklearn.linear_model.Ridge")
    result = run_all(pod)

    assert result["task"] == "Regression"
    names = {metric["name"] for metric in result["metrics"]}
    assert names == {"mae", "rmse", "r2", "mape", *(f"absolute_error_p{q}" for q in (50, 90, 95, 99))}
    outputs = result["signature"]["outputs"]
    assert outputs == [{"name": "value", "datatype": "FP32", "shape": [-1, 1]}]


def test_mixed_columns_become_inputs_named_as_they_are(pod: Pod) -> None:
    pod.given_rows(churn()).given(
        data={"uri": "pvc://lake/rows.csv"}, estimator="sklearn.ensemble.RandomForestClassifier"
    )
    result = run_all(pod)

    assert [(i["name"], i["datatype"], i["shape"]) for i in result["signature"]["inputs"]] == [
        ("age", "FP32", [-1, 1]),
        ("fee (EUR)", "FP32", [-1, 1]),
        ("plan", "BYTES", [-1, 1]),
        ("region", "BYTES", [-1, 1]),
    ]
    assert result["signature"]["classes"] == ["leaves", "stays"]
    report = pod.published("report")
    assert report["evaluation"]["positiveClass"] == "leaves", "the rarer one"
    assert (
        sum(map(sum, report["evaluation"]["confusion"]["counts"])) == report["data"]["rows"]["holdout"] == 60
    )


def test_parquet_gives_the_same_model_as_csv(tmp_path: Path) -> None:
    digests = set()
    for file in ("rows.csv", "rows.parquet"):
        pod = Pod(tmp_path / file).given_rows(churn(), file).given(data={"uri": f"pvc://lake/{file}"})
        digests.add(pod.through("fetch", "train").result["digest"])
    assert len(digests) == 1


def test_the_golden_request_gets_the_golden_answer(pod: Pod) -> None:
    pod.given_rows(churn())
    pod.through("fetch", "train", "publish")
    golden = pod.published("golden")

    (path,) = pod.paths.artifacts.rglob("model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    types = {"FP32": np.float32, "BYTES": object}
    feed = {
        tensor["name"]: np.array(tensor["data"], dtype=types[tensor["datatype"]]).reshape(tensor["shape"])
        for tensor in golden["request"]["inputs"]
    }
    label, probabilities = session.run(None, feed)
    expected = {output["name"]: output for output in golden["response"]["outputs"]}
    assert label.tolist() == expected["label"]["data"]
    np.testing.assert_allclose(probabilities.ravel(), expected["probabilities"]["data"], rtol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    ["sklearn.ensemble.HistGradientBoostingClassifier", "sklearn.linear_model.LogisticRegression"],
)
def test_the_same_inputs_give_the_same_bytes_in_any_process(tmp_path: Path, estimator: str) -> None:
    digests = []
    for hash_seed, threads in (("1", "1"), ("2", "2")):
        pod = Pod(tmp_path / hash_seed).given_rows(churn()).given(estimator=estimator)
        assert pod.run("fetch").code == 0
        ending = pod.run_command("train", PYTHONHASHSEED=hash_seed, OMP_NUM_THREADS=threads)
        digests.append(ending.result["digest"])
    assert digests[0] == digests[1]


def test_the_trainer_sees_nothing_of_the_hold_out(pod: Pod) -> None:
    frame = churn().assign(age=lambda rows: np.arange(len(rows)) + 1000.5)
    pod.given_rows(frame)
    assert pod.run("fetch").code == 0

    held = set(pd.read_parquet(pod.paths.holdout_rows)["age"])
    seen = set(pd.read_parquet(pod.paths.train_rows)["age"])
    assert held.isdisjoint(seen)
    assert held | seen == set(frame["age"])
    assert sorted(path.name for path in pod.paths.train.iterdir()) == ["schema.json", "train.parquet"]
    assert pod.dataset["rows"] == 240
    assert "rows.csv" not in pod.paths.dataset.read_text()
    assert sorted(path.name for path in pod.paths.holdout.iterdir()) == ["holdout.parquet", "source.json"]
    facts = pod.source_facts
    assert (facts["source"], facts["rows"]) == ("configmap://rows/rows.csv", {"train": 240, "holdout": 60})
    assert pod.dataset["classes"] == ["leaves", "stays"]
    for side, path in (("train", pod.paths.train_rows), ("holdout", pod.paths.holdout_rows)):
        counts = pd.read_parquet(path)["y"].value_counts()
        assert facts["classCounts"][side] == [counts["leaves"], counts["stays"]]


def test_the_documents_of_a_run_fit_their_schemas(pod: Pod) -> None:
    pod.given_rows(churn())
    assert pod.through("fetch", "train", "publish").code == 0
    assert pod.dataset["features"][2] == {"name": "plan", "kind": "categorical"}
    assert pod.training["steps"] == ["SimpleImputer", "StandardScaler", "OneHotEncoder", "LogisticRegression"]
    assert pod.published("report")["training"]["estimator"] == "sklearn.linear_model.LogisticRegression"
