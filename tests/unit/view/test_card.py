"""The card of a version: all that its object says, from the object alone, and nothing that its names smuggle in."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from unit.given import words
from unit.given.crds import defects
from unit.view.versions import a_body, a_version, by_hand, hostile

from modelwright.view.card.bom import bom
from modelwright.view.card.limits import limits
from modelwright.view.card.markdown import markdown
from modelwright.view.card.page import page
from modelwright.view.version import read_version

BODIES = {
    "everything": a_body(),
    "nothing": by_hand(),
    "hostile": hostile(),
    "regression": a_body(
        status={
            "task": "Regression",
            "metrics": [{"name": "r2", "value": 0.5, "source": "Measured"}],
            "evaluation": {
                "confusion": None,
                "classes": None,
                "thresholds": None,
                "calibration": None,
                "baseline": {"label": None, "mean": 3.0, "median": 2.0},
                "residuals": [{"quantile": 0.5, "value": -0.1}],
            },
        }
    ),
}
every_body = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())


def text_of(body: dict[str, Any]) -> str:
    return "\n".join(markdown(read_version(body)))


def test_the_fixture_is_a_version_that_the_api_server_takes() -> None:
    body = a_body()
    assert defects("modelversions", "spec", body["spec"]) == []
    assert defects("modelversions", "status", body["status"]) == []
    assert read_version(a_body()).unread == ()


def test_a_card_says_all_that_an_auditor_asks() -> None:
    card = text_of(a_body())
    for fact in (
        words.digest(),
        words.DATA_DIGEST,
        "sha256:" + "e" * 64,
        "4f2a9c1",
        "scikit-learn 1.9.0",
        "seed of the training: 7",
        "seed of the split: 5",
        "target: churned",
        "| roc\\_auc of 1 | 0.95 | 0.9 to 0.98 | 0.5 | measured on the hold-out |",
        "| recall-eu | recall at least 0.7 where region is eu | Fail | 0.5 | 0.4 to 0.6 | 0.7 |",
        "0.45 | 0.4 to 0.48 | 0 | 0.95 | Baseline 0.5 | 20 |",
        "20, about 60 would decide",
        "roc\\_auc minus that of the baseline above 0 |",
        "roc\\_auc minus that of the Champion at least 0 |",
        "The Champion when the run began was churn-2",
        "Pass: ONNX Runtime against the trainer's library",
        "| age | 0.2 | 0.1 to 0.3 |",
        "| eu | 12 | 0.4 | 0.9 | 0.8 |",
        "approved by ada@example.com at 2026-01-02T08:00:00Z although a gate had not passed: the EU slice is small",
        "approved by grace@example.com at 2026-01-02T08:00:00Z \\(the API server has not checked who that was\\)",
        "aliases: Champion, Latest",
        "3 rows of the hold-out are also in the training rows",
        "the ROC curve",
    ):
        assert fact in card, fact


def test_the_front_matter_is_that_of_a_hub() -> None:
    _, head, _ = text_of(a_body()).split("---\n", 2)
    found = yaml.safe_load(head)
    (result,) = found["model-index"][0]["results"]
    assert result["task"] == {"type": found["pipeline_tag"]} == {"type": "tabular-classification"}
    assert result["dataset"]["revision"] == words.DATA_DIGEST
    assert {"type": "roc_auc", "name": "roc_auc", "value": 0.95} in result["metrics"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (a_body(), "ada@example.com has let it through"),
        (a_body(status={"conditions": []}), "ada@example.com has approved it, without effect by now"),
        (a_body(), "The gate not-worse-than-champion could not be decided"),
        (a_body(status={"fairness": []}), "No groups were compared"),
        (a_body(status={"parity": {"verdict": "Skipped"}}), "not compared with the trainer's library"),
        (
            a_body(status={"metrics": [{"name": "auc", "value": 1, "source": "Reported"}]}),
            "measured by nothing here: auc",
        ),
        (a_body(spec={"lineage": {"recipe": None}}), "cannot make it again"),
        (a_body(spec={"lineage": {"data": [{"uri": "pvc://a/b"}]}}), "digest of its data is not known"),
        (a_body(status={"evaluation": {"truncated": True}}), "Some tables are cut"),
        (by_hand(), "No gate judges it"),
        (by_hand(), "No signature of the file was checked"),
        (by_hand(), "Nothing was measured"),
        (
            a_body(status={"gates": [{"name": "new", "metric": "x", "verdict": "Maybe", "reason": "New"}]}),
            "does not understand: status.gates.0.verdict",
        ),
    ],
)
def test_what_is_not_known_is_said(body: dict[str, Any], said: str) -> None:
    assert any(said in sentence for sentence in limits(read_version(body))), said


def test_a_signature_that_was_checked_is_no_limit() -> None:
    condition = {**a_body()["status"]["conditions"][0], "type": "SignatureVerified", "reason": "Signed"}
    said = limits(a_version(status={"conditions": [condition]}))
    assert not any("signature" in sentence for sentence in said)


def test_a_gate_that_was_not_judged_has_not_passed() -> None:
    assert "| recall-eu | recall at least 0.7 where region is eu | Inconclusive |" in text_of(
        a_body(status={"gates": []})
    )


def test_a_version_that_was_scored_by_hand_has_learnt_from_unknown_rows() -> None:
    body = a_body(
        spec={"evaluate": {"uri": "pvc://lake/rows.csv", "target": "y"}, "lineage": None},
        status={"evaluation": {"trainRows": 0}},
    )
    card = text_of(body)
    assert "- rows: 20 held out" in card
    assert "the class with most rows that it was scored on" in card
    assert "Nothing pins the data that it was scored on" in card


@every_body
def test_the_same_object_gives_the_same_bytes(body: dict[str, Any]) -> None:
    first, second = (read_version(json.loads(json.dumps(body))) for _ in range(2))
    assert markdown(first) == markdown(second)
    assert page(first) == page(second)
    assert bom(first) == bom(second)


@every_body
def test_names_mean_nothing_in_markdown(body: dict[str, Any]) -> None:
    card = text_of(body)
    assert all(char.isprintable() for line in card.split("\n") for char in line)
    _, head, rest = card.split("---\n", 2)
    assert "<" not in rest.replace("\\<", "")
    assert yaml.safe_load(head)["library_name"] == "onnx"
    titles = [line for line in rest.splitlines() if line.startswith("#")]
    assert len(titles) == len(set(titles)) <= 17


class Tags(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@every_body
def test_the_page_is_valid_and_needs_nothing_else(body: dict[str, Any]) -> None:
    text = "\n".join(page(read_version(body)))
    ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))
    found = Tags()
    found.feed(text)
    assert not found.tags & {"script", "link", "img", "iframe", "object", "embed", "a", "form", "base"}
    assert not found.attributes & {"src", "href", "style", "onload", "onclick", "onerror"}
    assert "default-src 'none'" in text
    assert "<script" not in text


def test_the_page_has_the_figures() -> None:
    text = "\n".join(page(a_version()))
    assert text.count("<svg") == 4
    for caption in ("importance", "confusion matrix", "thresholds", "calibration"):
        assert f"<title>{caption}</title>" in text


@every_body
def test_the_bill_of_materials_is_valid(body: dict[str, Any]) -> None:
    document = bom(read_version(body))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None


def test_the_bill_of_materials_names_the_model_its_data_and_what_it_was_made_with() -> None:
    document = bom(a_version())
    model = document["metadata"]["component"]
    assert (model["type"], model["hashes"]) == (
        "machine-learning-model",
        [{"alg": "SHA-256", "content": "a" * 64}],
    )
    assert model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0] == {
        "type": "roc_auc",
        "value": "0.95",
        "slice": "class 1",
        "confidenceInterval": {"lowerBound": "0.9", "upperBound": "0.98"},
    }
    kinds = [component["type"] for component in document["components"]]
    assert kinds == ["data", "library", "library", *["container"] * 3]
    assert document["components"][0]["hashes"][0]["content"] == "d" * 64
    properties = {each["name"]: each["value"] for each in model["properties"]}
    assert properties["modelwright:gate:recall-eu"] == "Fail (BelowLimit) recall 0.5, limit 0.7"
    assert properties["modelwright:seed"] == "7"


def test_another_verdict_gives_another_serial_number() -> None:
    assert bom(a_version())["serialNumber"] != bom(a_version(status={"aliases": []}))["serialNumber"]
