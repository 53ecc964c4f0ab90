"""Permutation importance on the hold-out, against scikit-learn's."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from unit.training.pod import Json, Pod, churn, numbers

from modelwright_training.documents import load_dataset
from modelwright_training.errors import InputError
from modelwright_training.features import frames
from modelwright_training.judging import importance as module
from modelwright_training.judging.gates.world import World, look
from modelwright_training.judging.importance import importance
from modelwright_training.judging.loaded import load
from modelwright_training.judging.metrics import Rows
from modelwright_training.onnxfile import modelfile

FOREST = {
    "estimator": "sklearn.ensemble.RandomForestClassifier",
    "parameters": {"n_estimators": 10, "max_depth": 4},
}


def weighted(rows: int = 1000, columns: int = 4, seed: int = 0) -> pd.DataFrame:
    """Columns the first of which matters most, the next less, and the others not at all."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns))
    frame = pd.DataFrame(values, columns=[f"x{place}" for place in range(columns)])
    score = 2 * values[:, 0] + values[:, 1] + random.normal(0, 0.5, rows)
    return frame.assign(y=(score > 0).astype(int))


def world(pod: Pod) -> World:
    """The trained model of a pod on its hold-out."""
    dataset = load_dataset(pod.paths.dataset)
    trained, holdout = (
        frames.load_rows(path, dataset) for path in (pod.paths.train_rows, pod.paths.holdout_rows)
    )
    return look(load(modelfile.read(pod.paths.model_file), dataset), holdout, trained, Rows(7))


def trained(pod: Pod, frame: pd.DataFrame, **changes: Any) -> World:
    assert pod.given_rows(frame).given(**changes).through("fetch", "train").code == 0
    return world(pod)


class Served(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The model file as an estimator."""

    def __init__(self, world: World) -> None:
        self.world = world

    def fit(self, features: Any, target: Any) -> "Served":
        return self

    def score(self, features: Any, target: Any) -> float:
        frame = pd.DataFrame(features, columns=self.world.model.dataset.names)
        table = self.world.model.predict(frame).probabilities
        assert table is not None
        return float(roc_auc_score(target, table[:, 1]))


def by_name(found: list[Json]) -> dict[str, Json]:
    return {feature["feature"]: feature for feature in found}


def test_importances_are_those_of_scikit_learn(pod: Pod) -> None:
    own = trained(pod, weighted())
    names = own.model.dataset.names
    expected = permutation_importance(
        Served(own).fit(None, None), own.frame[names].to_numpy(), own.truth, n_repeats=40, random_state=0
    )
    found = by_name(importance(own))
    for place, name in enumerate(names):
        spread = 4 * expected.importances_std[place] / np.sqrt(module.REPEATS) + 1e-4
        assert found[name]["value"] == pytest.approx(expected.importances_mean[place], abs=spread)


def test_what_matters_comes_first_and_noise_is_not_told_from_nothing(pod: Pod) -> None:
    found = importance(trained(pod, weighted()))
    assert [feature["feature"] for feature in found[:2]] == ["x0", "x1"]
    assert found[0]["low"] > 0.1
    for feature in found[2:]:
        assert feature["low"] <= 0 <= feature["high"]
    assert all(feature["low"] <= feature["value"] <= feature["high"] for feature in found)


def test_texts_gaps_and_more_classes_are_shuffled_too(pod: Pod) -> None:
    frame = churn(400)
    found = by_name(importance(trained(pod, frame)))
    assert set(found) == {"age", "fee (EUR)", "plan", "region"}
    assert found["age"]["value"] > found["region"]["value"]


def test_of_a_regression_it_is_the_loss_of_r2(pod: Pod) -> None:
    frame = weighted().assign(y=lambda rows: 3 * rows["x0"] + rows["x1"])
    found = by_name(importance(trained(pod, frame, estimator="sklearn.linear_model.LinearRegression")))
    # Shuffling a column of variance a of a target of variance v costs 2 a / v.
    assert found["x0"]["value"] == pytest.approx(2 * 9 / 10, abs=0.2)
    assert found["x1"]["value"] == pytest.approx(2 * 1 / 10, abs=0.05)


def test_of_many_features_those_are_looked_at_that_change_answers(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FEATURES", 3)
    frame = weighted(600, 12)[[*(f"x{place}" for place in reversed(range(12))), "y"]]
    found = importance(trained(pod, frame))
    assert len(found) == 3
    assert {"x0", "x1"} <= set(by_name(found))


def test_at_most_so_many_rows_are_used_and_twenty_features_reported(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = trained(pod, weighted(2000, 25))
    sizes: list[int] = []
    real = module._importance

    def counted(sample: module.Sample, *others: Any) -> Json:
        sizes.append(len(sample.frame))
        return real(sample, *others)

    monkeypatch.setattr(module, "_importance", counted)
    monkeypatch.setattr(module, "MOST_ROWS", 250)
    assert len(importance(own)) == 20
    assert sizes == [250] * 25


def test_rows_that_belong_together_are_drawn_together(pod: Pod) -> None:
    frame = pd.concat([weighted(100, 2)] * 20).assign(customer=list(range(100)) * 20)
    own = trained(pod, frame, data={"holdout": {"group": "customer"}})
    customers = pd.factorize(pd.read_parquet(pod.paths.holdout_rows)["customer"])[0].astype(np.int64)
    grouped = World(own.model, own.frame, own.truth, own.learnt, Rows(7, customers, "customer"), own.measured)
    alone, together = (by_name(importance(each))["x0"] for each in (own, grouped))
    assert together["value"] == alone["value"]
    assert together["high"] - together["low"] > 1.2 * (alone["high"] - alone["low"])


def test_where_the_main_metric_has_no_value_there_is_none(pod: Pod) -> None:
    own = trained(pod, weighted())
    single = own.frame[own.truth == 1].reset_index(drop=True)
    assert importance(look(own.model, single, own.frame, Rows(1))) == []


def test_a_model_that_has_no_answer_to_shuffled_rows_is_published_without(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("OutputUnsuitable", "no finite number")

    monkeypatch.setattr(module.Sample, "predicted", refuse)
    ending = pod.given_rows(numbers()).through("fetch", "train", "publish")
    assert "importance" not in ending.result


def test_the_same_run_gives_the_same_numbers_in_result_report_and_card(pod: Pod, tmp_path: Path) -> None:
    results = []
    for each in (pod, Pod(tmp_path / "again")):
        ending = each.given_rows(weighted(400)).given(**FOREST).through("fetch", "train", "publish")
        results.append(ending.result["importance"])
    assert results[0] == results[1]
    assert results[0] == pod.published("report")["importance"]
    (card,) = pod.paths.artifacts.rglob("card.md")
    assert "## Importance of features" in card.read_text()
    assert f"| x0 | {results[0][0]['value']:.4g} |" in card.read_text()
