"""Features that predict the target alone are named; honest ones, however good, are not."""

from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from unit.training.pod import Json, Pod, churn, numbers

ROWS = 600
RANDOM = np.random.default_rng(0)
TWO = pd.Series(RANDOM.integers(0, 2, ROWS))
THREE = pd.Series(RANDOM.choice(["a", "b", "c"], ROWS))
AMOUNT = pd.Series(RANDOM.lognormal(size=ROWS).round(4))
HONEST = pd.DataFrame({"x": RANDOM.normal(size=ROWS), "plan": RANDOM.choice(["free", "pro"], ROWS)})

Column: TypeAlias = "pd.Series[Any]"


def noisy(values: Column, spread: float) -> Column:
    return values + np.random.default_rng(1).normal(0, spread, len(values))


AROUND = pd.Series(RANDOM.choice([-1, 1], ROWS) * (2 + RANDOM.random(ROWS)))
LEVEL = THREE.map({"a": 5.0, "b": 1.0, "c": 3.0})
WORDS = TWO.astype(str) + pd.Series(RANDOM.choice(list("stuvw"), ROWS))

LEAKS: dict[str, tuple[Column, Column, str]] = {
    "a copy of the target": (TWO, TWO, "roc_auc"),
    "the other way round": (TWO, noisy(1 - TWO, 0.1), "roc_auc"),
    "missing for one class": (TWO, noisy(TWO, 9.0).where(TWO == 1), "roc_auc"),
    "around 0 for one class": (TWO, AROUND * (1 - TWO), "roc_auc"),
    "a word for each class": (TWO, TWO.map({0: "open", 1: "closed"}), "roc_auc"),
    "words of which each is of one class": (TWO, WORDS, "roc_auc"),
    "a number for each of three classes": (THREE, noisy(LEVEL, 0.2), "balanced_accuracy"),
    "a word for each of three classes": (THREE, THREE.str.upper(), "balanced_accuracy"),
    "the same amount in another currency": (AMOUNT, AMOUNT * 1.19, "r2"),
    "its exponential": (LEVEL + AROUND, (LEVEL + AROUND).map(np.exp), "r2"),
}


def fetched(pod: Pod, frame: pd.DataFrame, task: str, **data: object) -> Json:
    estimator = "sklearn.linear_model.Ridge" if task == "r2" else "sklearn.linear_model.LogisticRegression"
    ending = pod.given_rows(frame).given(data=data, estimator=estimator).run("fetch")
    assert ending.code == 0, ending.document
    return pod.source_facts


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_named(pod: Pod, name: str) -> None:
    target, leak, statistic = LEAKS[name]
    frame = HONEST.assign(leak=leak, y=target)
    facts = fetched(pod, frame, statistic)

    assert [found["feature"] for found in facts["leaks"]] == ["leak"]
    assert facts["leaks"][0]["statistic"] == statistic
    assert 0.99 <= facts["leaks"][0]["score"] <= 1
    assert facts["notes"][0].startswith("leak suspected: predicts the target alone (")
    assert "'leak' " in facts["notes"][0]


@pytest.mark.parametrize("data", ["breast_cancer", "wine", "iris", "digits", "diabetes"])
def test_honest_data_raises_no_suspicion(pod: Pod, data: str) -> None:
    estimator = (
        "sklearn.linear_model.Ridge" if data == "diabetes" else "sklearn.linear_model.LogisticRegression"
    )
    pod.given(data={"uri": f"sklearn://{data}", "target": "target"}, estimator=estimator)
    assert pod.run("fetch").code == 0
    assert pod.source_facts["leaks"] == []


def test_a_customer_who_leaves_raises_no_suspicion(pod: Pod) -> None:
    assert fetched(pod, churn(2000), "roc_auc")["leaks"] == []


def test_categories_of_one_row_each_predict_nothing(pod: Pod) -> None:
    names = pd.Series([f"n{row}" if row % 3 else "many" for row in range(ROWS)])
    assert fetched(pod, HONEST.assign(name=names, y=TWO), "roc_auc")["leaks"] == []
    frame = HONEST.assign(name=names, y=RANDOM.normal(size=ROWS))
    assert fetched(pod, frame, "r2")["leaks"] == []


def test_copies_of_noise_raise_no_suspicion(pod: Pod) -> None:
    frame = pd.concat([numbers(60).assign(y=[0, 1] * 30)] * 10)
    assert fetched(pod, frame, "roc_auc")["leaks"] == []


def test_what_is_the_same_in_all_rows_of_a_customer_raises_no_suspicion(pod: Pod) -> None:
    customer = np.repeat(np.arange(60), 10)
    birth = np.random.default_rng(0).normal(size=60)[customer]
    frame = HONEST.assign(
        customer=customer, birth=birth, city=[f"c{number}" for number in customer], y=customer % 2
    )
    assert fetched(pod, frame, "roc_auc", holdout={"group": "customer"})["leaks"] == []


def test_a_few_rows_raise_no_suspicion_by_chance(pod: Pod) -> None:
    frame = numbers(20, 200).assign(y=[0, 1] * 10)
    assert fetched(pod, frame, "roc_auc")["leaks"] == []


def test_a_rare_class_is_seen_among_many_rows(pod: Pod) -> None:
    rare = pd.Series(np.arange(60_000) % 2000 == 7).astype(int)
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=60_000), "leak": rare * 5, "y": rare})
    assert [found["feature"] for found in fetched(pod, frame, "roc_auc")["leaks"]] == ["leak"]


def test_all_leaks_are_named_the_best_first(pod: Pod) -> None:
    columns = {f"l{place}": noisy(TWO.astype(float), 0.1 + place / 50) for place in range(7)}
    facts = fetched(pod, pd.DataFrame({**columns, "y": TWO}), "roc_auc")
    scores = [found["score"] for found in facts["leaks"]]
    assert len(scores) == 7
    assert scores == sorted(scores, reverse=True)
    assert facts["notes"][0].endswith("and 2 more")


def test_a_leak_is_refused_where_that_is_asked_for(pod: Pod) -> None:
    pod.given_rows(HONEST.assign(leak=TWO * 2.5, y=TWO)).given(data={"leakCheck": {"onLeak": "Refuse"}})
    ending = pod.run("fetch")
    assert (ending.reason, ending.code) == ("LeakSuspected", 65)
    assert "'leak' 1.000" in ending.message
    assert not pod.paths.train_rows.exists()
    assert pod.given(data={"exclude": ["leak"], "leakCheck": {"onLeak": "Refuse"}}).run("fetch").code == 0


def test_the_threshold_is_the_users(pod: Pod) -> None:
    frame = HONEST.assign(near=noisy(TWO.astype(float), 0.6), y=TWO)
    assert fetched(pod, frame, "roc_auc")["leaks"] == []
    found = fetched(pod, frame, "roc_auc", leakCheck={"threshold": 0.8})["leaks"]
    assert [leak["feature"] for leak in found] == ["near"]
    assert 0.8 < found[0]["score"] < 0.95


def test_only_rows_to_learn_from_are_looked_at(pod: Pod) -> None:
    frame = HONEST.assign(time=np.arange(ROWS) / 2, y=TWO)
    frame["leak"] = np.where(np.arange(ROWS) < 300, RANDOM.random(ROWS), TWO)
    after = {"column": "time", "value": "150"}
    assert fetched(pod, frame, "roc_auc", holdout={"after": after})["leaks"] == []
    frame["leak"] = np.where(np.arange(ROWS) < 300, TWO, RANDOM.random(ROWS))
    assert len(fetched(pod, frame, "roc_auc", holdout={"after": after})["leaks"]) == 1
