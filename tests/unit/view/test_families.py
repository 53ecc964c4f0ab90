"""Versions in a list and side by side: no difference is claimed that nothing has measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from unit.view.versions import HOSTILE, a_body, a_version, by_hand, hostile

from modelwright.view.families import compared, comparison, document, gate_summary, lines
from modelwright.view.version import Version, read_version

LAST = a_body()["status"]["gates"][-1:]
NOW = datetime(2026, 1, 4, tzinfo=UTC)


def measured(name: str, low: float, high: float, **parts: Any) -> Version:
    metric = {"name": "recall", "value": (low + high) / 2, "low": low, "high": high, "source": "Measured"}
    return a_version(name, status={"metrics": [metric], "gates": [], **parts})


def text_of(*versions: Version) -> str:
    return "\n".join(comparison(versions))


@pytest.mark.parametrize(
    ("other", "said"), [((0.75, 0.9), "overlap"), ((0.8, 0.9), "overlap"), ((0.81, 0.9), "apart")]
)
def test_whether_intervals_overlap_is_said(other: tuple[float, float], said: str) -> None:
    pair = measured("a", 0.7, 0.8), measured("b", *other)
    (line,) = [line for line in text_of(*pair).splitlines() if line.startswith("  recall ")]
    assert line.endswith(said)
    assert compared(pair)["intervals"] == {"recall": {"a, b": said}}


def test_of_three_versions_the_pairs_that_are_apart_are_named() -> None:
    text = text_of(measured("a", 0.1, 0.2), measured("b", 0.15, 0.3), measured("c", 0.25, 0.4))
    assert "apart: a and c" in text


def test_the_comparison_on_the_same_rows_is_shown_where_there_was_one() -> None:
    text = text_of(a_version("churn-2"), a_version("churn-3"))
    assert "churn-3 against churn-2: roc_auc +0.012 (-0.01 to 0.03), 20 rows: Inconclusive" in text
    twice = a_version(
        "churn-3", status={"gates": [{**each, "name": name} for name in ("a", "b") for each in LAST]}
    )
    assert "20 rows: Inconclusive of a, Inconclusive of b" in text_of(a_version("churn-2"), twice)
    assert "none of these was" in text_of(a_version("churn-4"), a_version("churn-5"))


def evaluated(name: str, **evaluate: str) -> Version:
    """A version by hand that was scored on data."""
    body = by_hand(name, evaluation={"trainRows": 0, "holdoutRows": 200, "baseline": {"mean": 1}})
    body["spec"]["evaluate"] = {"uri": "pvc://lake/rows.csv", "target": "y", **evaluate}
    return read_version(body)


DIGEST = "sha256:" + "f" * 64
ROWS: dict[str, tuple[Version, bool | None]] = {
    "the same": (a_version("b"), True),
    "other data": (
        a_version("b", spec={"lineage": {"data": [{"uri": "pvc://a/b", "digest": DIGEST}]}}),
        False,
    ),
    "another split": (
        a_version("b", spec={"lineage": {"recipe": {"data": {"holdout": {"seed": 6}}}}}),
        False,
    ),
    "scored on other data": (evaluated("b", digest=DIGEST), False),
}


@pytest.mark.parametrize(("other", "same"), ROWS.values(), ids=ROWS.keys())
def test_whether_they_were_scored_on_the_same_rows_is_said(other: Version, same: bool | None) -> None:
    pair = [a_version("a"), other]
    assert compared(pair)["sameRows"] is same
    assert ("They were scored on other data" in text_of(*pair)) == (not same)


def test_without_a_digest_it_is_not_known_whether_the_rows_are_the_same() -> None:
    pair = [evaluated("a"), evaluated("b")]
    assert compared(pair)["sameRows"] is None
    metrics = [{"name": "r2", "value": 1, "source": "Measured"}]
    shown = [replace(each, status=each.status.model_copy(update={"metrics": read(metrics)})) for each in pair]
    assert "Whether they were scored on the same rows is not known" in text_of(*shown)
    assert compared([evaluated("a", digest=DIGEST), evaluated("b", digest=DIGEST)])["sameRows"] is True
    assert "?+200" in text_of(*pair)


def read(metrics: list[dict[str, Any]]) -> list[Any]:
    return a_version(status={"metrics": metrics}).status.metrics


def test_what_is_the_same_is_left_out() -> None:
    text = text_of(a_version("a"), a_version("b", spec={"lineage": {"libraries": {"scikit-learn": "1.8.0"}}}))
    assert "where it differs: nowhere" in text
    assert "scikit-learn  1.9.0  1.8.0" in text
    assert "onnxruntime" not in text


def test_versions_of_another_release_are_listed_and_compared() -> None:
    old = read_version(by_hand("old"))
    assert "old   Unknown  NotSeen" in "\n".join(lines({"churn": [old]}, NOW))
    assert document(old) == {
        "name": "old",
        "namespace": "team",
        "model": "churn",
        "aliases": [],
        "metrics": [],
        "gates": [],
        "gatesPassed": 0,
        "gatesInAll": 0,
        "data": [],
        "madeAt": "2026-01-02T08:00:00Z",
        "digest": "sha256:" + "a" * 64,
        "approvals": [],
    }
    assert "not judged" not in text_of(old, old)
    assert compared([old, old])["sameRows"] is None


@pytest.mark.parametrize(
    ("verdicts", "summary"),
    [
        (["Pass", "Pass"], "2 of 2"),
        (["Inconclusive", "Fail"], "0 of 2; failed: g1 +1"),
        (["Pass", "Inconclusive"], "1 of 2; undecided: g1"),
    ],
)
def test_the_gate_that_has_not_passed_is_named(verdicts: list[str], summary: str) -> None:
    found = [
        {"name": f"g{place}", "metric": "f1", "verdict": verdict, "reason": "R"}
        for place, verdict in enumerate(verdicts)
    ]
    assert gate_summary(a_version(spec={"gates": None}, status={"gates": found})) == summary


def test_hostile_names_stay_in_their_line_and_within_its_width() -> None:
    versions = [read_version(hostile()), a_version("b")]
    drawn = [*lines({"churn": versions}, NOW), *comparison(versions)]
    assert max(map(len, drawn)) < 250
    assert not any("\n" in line or "\x1b" in line for line in drawn)
    assert HOSTILE not in "".join(drawn)
