"""The card shows all that was measured, whatever names the data has, and is the same for the same inputs."""

import base64
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from unit.training.pod import Pod, churn, numbers


def card_of(pod: Pod) -> str:
    (path,) = pod.paths.artifacts.rglob("card.md")
    return path.read_text()


def images(card: str) -> list[ElementTree.Element]:
    """The plots, as a viewer decodes them."""
    found = re.findall(r"!\[[^\]]+\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", card)
    return [ElementTree.fromstring(base64.b64decode(text)) for text in found]


def test_the_card_of_two_classes_has_numbers_tables_and_plots(pod: Pod) -> None:
    pod.given_rows(churn(400))
    assert pod.through("fetch", "train", "publish").code == 0
    card, report = card_of(pod), pod.published("report")
    index = json.loads(card.split("model-index: ")[1].split("\n")[0])
    accuracy = next(metric for metric in index[0]["results"][0]["metrics"] if metric["type"] == "accuracy")
    assert f"| accuracy | {accuracy['value']:.6g} |" in card
    positive = report["evaluation"]["positiveClass"]
    for text in (
        f"| recall of {positive} |",
        "The intervals are from 1000 bootstrap resamples of its rows.",
        "The baseline always answers stays, the class with most training rows",
        "## Classes",
        "## Confusion matrix",
        f"## Thresholds on the probability of {positive}",
        f"## Calibration of {positive}",
        f"## ROC curve of {positive}",
        "| fee \\(EUR\\) | numeric | ",
        "- parity with the trainer's library: Pass over 320 rows",
    ):
        assert text in card, text
    assert "sklearn.linear\\_model.LogisticRegression" in card
    assert len(images(card)) == 2


def test_the_card_of_a_regression_has_residuals(pod: Pod) -> None:
    frame = numbers(300)
    frame["y"] = frame["x0"] * 3 + np.random.default_rng(0).normal(size=300)
    pod.given_rows(frame).given(estimator="sklearn.linear_model.LinearRegression")
    assert pod.through("fetch", "train", "publish").code == 0
    card = card_of(pod)
    assert "## Residuals: the true value less the predicted one" in card
    assert "| 50% |" in card
    assert "The baseline always answers the mean of the training rows" in card
    assert len(images(card)) == 1


def test_many_classes_are_cut_to_those_with_most_rows(pod: Pod) -> None:
    random = np.random.default_rng(0)
    frame = numbers(900)
    frame["y"] = [f"class {place}" for place in random.integers(0, 60, 900)]
    pod.given_rows(frame).given(estimator="sklearn.naive_bayes.GaussianNB")
    assert pod.through("fetch", "train", "publish").code == 0
    card = card_of(pod)
    assert "30 classes with fewer hold-out rows are in report.json." in card
    assert "## Confusion matrix" not in card
    assert len(images(card)) == 1


def test_names_of_the_data_mean_nothing_in_markdown_or_html(pod: Pod) -> None:
    frame = numbers(200)
    frame = frame.rename(columns={"x0": "a | b <img>"})
    frame["plan"] = ["<b>bold</b>|"] * 100 + ["`code`"] * 100
    frame["y"] = frame["y"].map({0: "<script>|*", 1: "ok](x)`"})
    pod.given_rows(frame)
    assert pod.through("fetch", "train", "publish").code == 0
    text = re.sub(r"\(data:[^)]*\)", "", card_of(pod).split("---\n", 2)[2])
    assert not re.search(r"(?<!\\)<", text)
    assert "| \\<script\\>\\|\\* | 82 (51.2%)" in text
    assert "| recall of ok\\]\\(x\\)\\` |" in text
    assert "| a \\| b \\<img\\> | numeric |" in text
    assert len(images(card_of(pod))) == 2


def test_the_same_inputs_give_the_same_card_and_report(tmp_path: Path) -> None:
    made = set()
    for place in range(2):
        pod = Pod(tmp_path / str(place)).given_rows(churn(200))
        assert pod.through("fetch", "train", "publish").code == 0
        files = [next(pod.paths.artifacts.rglob(name)) for name in ("card.md", "report.json", "golden.json")]
        made.add(tuple(path.read_bytes() for path in files))
    assert len(made) == 1


def test_an_image_without_a_reference_is_said_not_to_be_compared(pod: Pod) -> None:
    pod.given_rows(numbers(100)).given()
    assert pod.through("fetch", "train").code == 0
    pod.paths.reference.unlink()
    assert pod.run("publish").code == 0
    assert "- not compared with the trainer's library: no reference.npz" in card_of(pod)


def test_groups_are_what_intervals_are_drawn_from(pod: Pod) -> None:
    frame = numbers(400)
    frame["customer"] = [f"c{place // 4}" for place in range(400)]
    pod.given_rows(frame).given(data={"holdout": {"group": "customer"}})
    assert pod.through("fetch", "train", "publish").code == 0
    found = pod.published("report")["evaluation"]["intervals"]
    held = pd.read_parquet(pod.paths.holdout_rows)["customer"].nunique()
    assert (found["unit"], found["column"], found["groups"]) == ("Group", "customer", held)
    assert f"bootstrap resamples of its {held} groups of customer." in card_of(pod)
