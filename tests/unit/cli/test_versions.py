"""`models`, `card` and `reproduce` read ModelVersions and print them; what is missing is said."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml
from unit.cli.desk import Desk, Run, a_desk, status
from unit.given import words
from unit.view.versions import Body, a_body, by_hand

from modelwright.cli import cluster


def second() -> Body:
    body = a_body("churn-2", spec={"lineage": {"run": 2, "seed": 8, "parameters": {"C": 2.0}}})
    body["spec"]["artifact"] = words.artifact(letter="b")
    return body


@pytest.fixture
def desk() -> Iterator[Desk]:
    with a_desk(by_hand("none")) as found:
        other = by_hand("prices-1")
        other["spec"]["model"] = "prices"
        found.versions = {"churn-2": second(), "churn-3": a_body(), "prices-1": other}
        yield found


def test_the_versions_of_each_family_are_listed_the_newest_first(command: Run) -> None:
    code, text = command("models")
    lines = [line.split() for line in text.splitlines() if line]
    assert code == 0
    assert [line[0] for line in lines] == [
        "churn:",
        "NAME",
        "churn-3",
        "churn-2",
        "prices:",
        "NAME",
        "prices-1",
    ]
    assert "1 of 3; failed: recall-eu +1" in text
    assert "roc_auc 0.95 (0.9 to 0.98)" in text


def test_a_family_is_listed_alone(command: Run) -> None:
    assert "churn" not in command("models", "prices")[1].replace("prices", "")
    code, text = command("models", "chum")
    assert (code, text) == (
        3,
        "error: there is no family of ModelVersions chum in namespace team. Is it churn?\n",
    )


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_list_is_there_for_programs(command: Run, output: str, read: object) -> None:
    assert callable(read)
    found = read(command("models", "churn", "-o", output)[1])
    assert [each["name"] for each in found["churn"]] == ["churn-3", "churn-2"]
    assert found["churn"][0]["gates"][0]["verdict"] == "Fail"
    assert (found["churn"][0]["gatesPassed"], found["churn"][0]["gatesInAll"]) == (1, 3)


def test_more_versions_than_a_page_are_listed(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PAGE", 1)
    assert command("models")[1].count("churn-") == 2
    monkeypatch.setattr(cluster, "MOST_VERSIONS", 2)
    assert command("models") == (1, "error: namespace team has more than 2 ModelVersions\n")


def test_a_version_that_cannot_be_read_does_not_hide_the_others(command: Run, desk: Desk) -> None:
    desk.versions["churn-2"]["spec"]["artifact"] = {"uri": "elsewhere"}
    code, text = command("models", "churn")
    assert code == 0
    assert "the ModelVersion churn-2 cannot be read" in text
    assert "churn-3" in text


def test_versions_are_compared_side_by_side(command: Run) -> None:
    code, text = command("models", "churn", "--compare", "churn-2", "churn-3")
    assert code == 0
    assert "parameter C  2.0      1.0" in text
    found = yaml.safe_load(command("models", "--compare", "churn-2", "churn-3", "-o", "yaml")[1])
    assert found["differences"]["training"]["seed"] == [8, 7]
    assert found["intervals"]["roc_auc"] == {"churn-2, churn-3": "overlap"}


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("models --compare churn-2", 2, "two versions or more"),
        ("models --compare churn-2 churn-2", 2, "two versions or more"),
        (
            "models --compare churn-2 chum-3",
            3,
            "there is no ModelVersion chum-3 in namespace team. Is it churn-3",
        ),
        ("models prices --compare churn-2 prices-1", 1, "not of the family prices: churn-2 (churn)"),
        ("card churn-9", 3, "Is it churn-3 or churn-2"),
        ("reproduce prices-1", 1, "was not made by a run"),
    ],
)
def test_what_cannot_be_done_is_said(command: Run, line: str, code: int, why: str) -> None:
    ended, text = command(*line.split())
    assert (ended, why in text) == (code, True), text


def test_a_namespace_without_versions_says_so(command: Run, desk: Desk) -> None:
    desk.versions = {}
    assert "there are no ModelVersions in namespace team" in command("models")[1]


def test_the_permission_that_is_missing_is_named(command: Run, desk: Desk) -> None:
    desk.answers = [("GET", 403, status('User "jane" cannot list'))]
    code, text = command("models")
    assert code == 4
    assert "kubectl create role model-versions -n team --verb=get,list" in text


def test_a_card_is_printed_in_each_form(command: Run) -> None:
    assert command("card", "churn-3")[1].startswith("---\nlibrary_name: onnx\n")
    assert command("card", "churn-3", "--html")[1].startswith("<!DOCTYPE html>")
    assert json.loads(command("card", "churn-3", "--bom")[1])["bomFormat"] == "CycloneDX"


def test_the_training_job_that_makes_it_again_is_printed(command: Run) -> None:
    made = yaml.safe_load(command("reproduce", "churn-3")[1])
    assert made["metadata"] == {"name": "churn-3-again", "namespace": "team"}
    assert made["spec"]["data"]["digest"] == words.DATA_DIGEST
