"""publish reports what it measured for the gates of a run, in its result, in report.json and in the card."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from unit.training.pod import Json, Pod, numbers

GATES: list[Json] = [
    {"name": "good", "metric": "roc_auc", "min": 0.9},
    {"name": "in-the-north", "metric": "recall", "slice": {"area": "north"}, "min": 0.5, "minSamples": 10},
    {"name": "learnt-by-heart", "metric": "main", "split": "Train", "maxGap": 0.1},
    {"name": "revenue", "metric": "revenue", "source": "Reported", "min": 1},
    {"name": "typo", "metric": "rocauc", "min": 0.9},
    {"name": "better-than-baseline", "metric": "main", "against": "Baseline", "minChange": 0},
]


def rows() -> pd.DataFrame:
    return numbers(200).assign(area=["north", "south"] * 100)


@pytest.fixture
def trained(pod: Pod) -> Pod:
    """A pod whose model is trained, with gates and a column that only the hold-out has."""
    pod.given_rows(rows()).given(gates=GATES, data={"holdout": {"extraColumns": ["area"]}})
    pod.through("fetch", "train")
    return pod


def by_name(result: Json) -> dict[str, Any]:
    return {found["name"]: found for found in result["gates"]}


def test_the_gates_are_measured_in_their_order(trained: Pod) -> None:
    trained.paths.reported.write_text('{"revenue": 3.25, "accuracy": 1.0}')
    result = trained.run("publish").result
    assert [found["name"] for found in result["gates"]] == [gate["name"] for gate in GATES]
    found = by_name(result)
    metrics = {metric["name"]: metric for metric in result["metrics"]}
    assert {key: found["good"][key] for key in ("value", "low", "high")} == {
        key: metrics["roc_auc"][key] for key in ("value", "low", "high")
    }
    assert 10 < found["in-the-north"]["samples"] < 40
    assert found["revenue"] == {"name": "revenue", "metric": "revenue", "value": 3.25, "source": "Reported"}
    assert (found["typo"]["reason"], "value" in found["typo"]) == ("UnknownMetric", False)
    assert (found["better-than-baseline"]["against"], found["better-than-baseline"]["samples"]) == (
        "Baseline",
        40,
    )


def test_the_report_and_the_card_have_the_same(trained: Pod) -> None:
    result = trained.run("publish").result
    assert trained.published("report")["gates"] == result["gates"]
    (card,) = trained.paths.artifacts.rglob("card.md")
    text = card.read_text()
    assert "## Measured for gates" in text
    assert "| good | roc\\_auc |" in text
    assert "UnknownMetric" in text


def test_a_run_without_gates_reports_none(pod: Pod) -> None:
    pod.given_rows(numbers(100))
    assert "gates" not in pod.through("fetch", "train", "publish").result
    (card,) = pod.paths.artifacts.rglob("card.md")
    assert "gates" not in card.read_text().replace("verdicts of gates", "")


def test_reported_numbers_are_marked(trained: Pod) -> None:
    trained.paths.reported.write_text('{"revenue": 3.25, "accuracy": 1.0}')
    result = trained.run("publish").result
    reported = [metric for metric in result["metrics"] if "source" in metric]
    assert reported == [{"name": "revenue", "value": 3.25, "source": "Reported"}]
    (card,) = trained.paths.artifacts.rglob("card.md")
    front, body = card.read_text().split("## Measured on the hold-out", 1)
    assert "revenue" not in front
    assert "## Reported by the trainer, not measured" in body


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("[1]", "no object of names and numbers", id="list"),
        pytest.param("{", "no JSON", id="cut"),
        pytest.param("[" * 60_000, "no JSON", id="deep"),
        pytest.param(
            '{"Revenue": 1, "gain": NaN, "loss": 1e999, "ok": true}', "'Revenue', 'gain'", id="names"
        ),
        pytest.param(json.dumps({f"n{place}": place for place in range(40)}), "'n30'", id="many"),
        pytest.param(" " * (65 << 10), "more than 65536", id="large"),
    ],
)
def test_numbers_that_are_not_as_they_should_be_are_left_out_with_a_note(
    trained: Pod, text: str, words: str
) -> None:
    trained.paths.reported.write_text(text)
    result = trained.run("publish").result
    assert len([metric for metric in result["metrics"] if "source" in metric]) == (
        30 if "n30" in words else 0
    )
    assert any(words in note for note in result["evaluation"]["notes"])
    assert words in by_name(result)["revenue"]["message"]


def test_the_trainer_does_not_see_the_column_of_a_slice(trained: Pod) -> None:
    assert "area" not in pd.read_parquet(trained.paths.train_rows).columns
    assert "area" in pd.read_parquet(trained.paths.holdout_rows).columns
    assert not any(Path(trained.paths.train).rglob("*area*"))


def test_the_same_inputs_give_the_same_bytes(trained: Pod) -> None:
    trained.run("publish")
    first = trained.paths.termination_log.read_bytes()
    trained.run("publish")
    assert trained.paths.termination_log.read_bytes() == first
