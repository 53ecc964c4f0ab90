"""Models that learn from text: trained, published with parity, and asked with the texts as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from unit.serving.harness import serving
from unit.training.pod import Pod

from modelwright_training import memory

SPAM = ("Cheap", "pills", "money", "WIN", "now!", "Größe", "免费")
HAM = ("Team", "meeting", "minutes", "noon,", "report", "Straße", "天气")
BOTH = ("the", "of", "a", "and", "über", "at")


def messages(rows: int = 240) -> pd.DataFrame:
    """Messages of six words, some empty, with a number and a category beside them; the words say what is spam."""
    random = np.random.default_rng(0)
    spam = np.arange(rows) % 2 == 0
    texts = [
        " ".join([*random.choice(SPAM if bad else HAM, 2), *random.choice(BOTH, 4)]) + f" n{place}"
        for place, bad in enumerate(spam)
    ]
    frame = pd.DataFrame({"links": random.poisson(2, rows), "folder": random.choice(["in", "out"], rows)})
    frame["message"] = texts
    frame["y"] = np.where(spam, "spam", "ham")
    frame.loc[::40, "message"] = ""
    return frame


def given_messages(pod: Pod, estimator: str, parameters: dict[str, Any] | None = None, **data: Any) -> Pod:
    rules = {"message": {"type": "text"}}
    return pod.given_rows(messages()).given(
        estimator=estimator, parameters=parameters or {}, data={"schema": rules} | data
    )


ESTIMATORS: dict[str, dict[str, Any]] = {
    "sklearn.linear_model.LogisticRegression": {},
    "sklearn.linear_model.SGDClassifier": {"loss": "log_loss"},
    "sklearn.svm.LinearSVC": {},
    "sklearn.naive_bayes.MultinomialNB": {},
    "sklearn.ensemble.RandomForestClassifier": {"n_estimators": 20},
    "sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 20},
    "lightgbm.LGBMClassifier": {"n_estimators": 20},
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_it_learns_from_words_and_is_published_with_parity(pod: Pod, estimator: str) -> None:
    ending = given_messages(pod, estimator, ESTIMATORS[estimator]).through("fetch", "train", "publish")
    assert ending.code == 0, ending.document
    inputs = {tensor["name"]: tensor["datatype"] for tensor in ending.result["signature"]["inputs"]}
    assert inputs == {"links": "FP32", "folder": "BYTES", "message": "BYTES"}
    metrics = {metric["name"]: metric["value"] for metric in ending.result["metrics"]}
    assert metrics["accuracy"] > 0.93  # some messages have no text


def test_natural_text_is_learnt_from_without_being_asked_to_and_noted(pod: Pod) -> None:
    ending = given_messages(pod, "sklearn.linear_model.LogisticRegression", schema={}).run("fetch")
    kinds = {feature["name"]: feature["kind"] for feature in pod.dataset["features"]}
    assert kinds == {"links": "numeric", "folder": "categorical", "message": "text"}
    assert any("'message'" in note and "words" in note for note in ending.result["notes"])


def test_a_regression_and_a_column_of_text_alone(pod: Pod) -> None:
    frame = messages()[["message", "links"]].assign(
        links=lambda rows: rows["message"].str.count("money") + 0.5
    )
    pod.given_rows(frame).given(
        estimator="sklearn.linear_model.Ridge",
        data={"target": "links", "schema": {"message": {"type": "text"}}},
    )
    ending = pod.through("fetch", "train", "publish")
    assert ending.code == 0, ending.document


def test_one_long_text_does_not_make_all_rows_long(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    # 48 rows with 80,000 words each would take 120 MB.
    monkeypatch.setattr(memory, "BYTES", 90 << 20)
    frame = messages()
    frame.loc[3, "message"] = "a team " * 40_000
    given_messages(pod, "sklearn.linear_model.LogisticRegression").given_rows(frame)
    ending = pod.through("fetch", "train", "publish")
    assert ending.code == 0, ending.document


def test_callers_send_the_text_as_it_is(pod: Pod) -> None:
    given_messages(pod, "sklearn.linear_model.LogisticRegression").through("fetch", "train", "publish")
    (model,) = pod.paths.artifacts.rglob("model.onnx")
    with serving(model) as served:
        served.wait_ready()
        texts = [
            "cheap PILLS, money",
            "",
            "TEAM: minutes\n\tof the Meeting",
            "Stra\u00dfe STRASSE \u5929\u6c14",
        ]
        records = [{"links": 2, "folder": "in", "message": text} for text in texts]
        found = served.infer({"records": records}).document["records"]
        assert [record["label"] for record in found if record["probabilities"]["spam"] != 0.5][0::2] == [
            "spam",
            "ham",
        ]
        assert found[3]["label"] == "ham"
        assert served.infer({"records": [{"links": 2, "folder": "in", "message": 7}]}).status == 400


def test_the_same_texts_give_the_same_bytes_in_another_process(pod: Pod) -> None:
    given_messages(pod, "sklearn.linear_model.LogisticRegression").through("fetch", "train")
    here = pod.paths.model_file.read_bytes()
    assert pod.run_command("train", PYTHONHASHSEED="1").code == 0
    assert pod.paths.model_file.read_bytes() == here


def test_texts_without_a_common_word_are_refused_before_the_training(pod: Pod) -> None:
    frame = messages().assign(message=[f"code{place}x" for place in range(240)])
    ending = given_messages(pod, "sklearn.linear_model.LogisticRegression").given_rows(frame).run("fetch")
    assert (ending.reason, ending.code) == ("TextUnsuitable", 65)
    assert "'message'" in ending.message
