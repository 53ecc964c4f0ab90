"""What the quickstart prints can be read, and what it hands to Helm fits what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.quickstart import report
from cluster.quickstart.install import ownership
from cluster.quickstart.target import values_file
from cluster.shell import StepError

VERSION = {
    "metadata": {"name": "breast-cancer-1"},
    "spec": {"artifact": {"digest": "sha256:ab"}},
    "status": {
        "metrics": [
            {"name": "roc_auc", "value": 0.98677, "source": "Measured"},
            {"name": "f1", "value": 0.9, "source": "Reported"},
        ],
        "parity": {"verdict": "Pass", "compared": 455, "maxDifference": 8.03e-08},
    },
}


def test_metrics_are_a_table_below_the_digest() -> None:
    assert report.model(VERSION, {"data": {"trainRows": 455, "holdoutRows": 114}}) == [
        "ModelVersion breast-cancer-1: 455 rows learnt from, 114 held out and scored",
        "  sha256:ab",
        "  answers as scikit-learn does on 455 rows, no probability off by more than 8e-08",
        "",
        "  metric   value",
        "  roc_auc  0.9868  measured",
        "  f1       0.9000  reported",
    ]


def test_an_answer_is_label_meaning_and_the_probability_of_that_label() -> None:
    outputs = [
        {"name": "label", "datatype": "INT64", "shape": [2], "data": [1, 0]},
        {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 0.75, 0.9, 0.1]},
    ]
    assert report.answers({"outputs": outputs}, ["0", "1"]) == [
        "  row 0: 1 (benign), probability 0.7500",
        "  row 1: 0 (malignant), probability 0.9000",
    ]


def test_a_request_is_shown_by_its_first_numbers_with_their_names() -> None:
    body = {"inputs": [{"shape": [2, 5], "data": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}]}
    assert report.request(body, ["a", "b", "c", "d", "e"]) == [
        "  row 0: a 1, b 2, c 3, d 4, ... 5 in all",
        "  row 1: a 6, b 7, c 8, d 9, ... 5 in all",
    ]


@pytest.mark.parametrize(
    ("annotations", "flags"),
    [
        (None, ["--take-ownership"]),
        ({"kubectl.kubernetes.io/last-applied-configuration": "{}"}, ["--take-ownership"]),
        (
            {
                "meta.helm.sh/release-name": "modelwright",
                "meta.helm.sh/release-namespace": "modelwright-system",
            },
            [],
        ),
        (
            {"meta.helm.sh/release-name": "x", "meta.helm.sh/release-namespace": "y"},
            ["--set", "crds.enabled=false"],
        ),
    ],
)
def test_helm_takes_definitions_of_nobody_and_leaves_those_of_others(
    annotations: dict[str, str] | None, flags: list[str]
) -> None:
    assert (
        ownership({"metadata": {"name": "crd", **({"annotations": annotations} if annotations else {})}})
        == flags
    )


def test_a_fresh_cluster_needs_nothing_special() -> None:
    assert ownership(None) == []


def test_without_images_it_says_how_to_name_some(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="make quickstart EXISTING=1 VALUES=FILE"):
        values_file(None, tmp_path / "images.yaml")
    with pytest.raises(StepError, match="is not there"):
        values_file(tmp_path / "mine.yaml", tmp_path / "images.yaml")
    (tmp_path / "mine.yaml").write_text("image: {}")
    assert values_file(tmp_path / "mine.yaml", tmp_path / "images.yaml") == tmp_path / "mine.yaml"
