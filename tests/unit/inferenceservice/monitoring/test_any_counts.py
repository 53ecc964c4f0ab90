"""Whatever a pod or a ConfigMap says, it is refused, or it can be summed up, judged, scored and kept."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.given.monitoring import (
    EVEN,
    MOVED,
    WINDOW,
    Reporting,
    a_watched_service,
    a_window,
    document,
    labels,
)

from modelwright.api.monitoring import MOST_COUNTED, ScoreName, ScoreTarget
from modelwright.checks.drift import Demands
from modelwright.inferenceservice.monitoring import counts
from modelwright.inferenceservice.monitoring.counts import MOST_PAIRS
from modelwright.inferenceservice.monitoring.judging import WindowJudge
from modelwright.inferenceservice.monitoring.kept import Kept, Labels, Streak, read, text
from modelwright.inferenceservice.monitoring.reports import Reference, Reports, read_report
from modelwright.inferenceservice.monitoring.scoring import outcomes, scores
from modelwright.inferenceservice.monitoring.windows import Evidence, advance

COUNT = st.one_of(st.sampled_from([0, 1, 2, 500, 2**52, MOST_COUNTED]), st.integers(0, 10_000))
NUMBER = st.one_of(
    st.sampled_from([0.0, 1e-300, 1.0, 1e17, 1e50, 1e90, 1e160, 1e308, 2.0**106]), COUNT, st.floats(0, 1e4)
)
KEY = st.integers(-1, 65)
TARGETS = [ScoreTarget(name=name, min=0.5, max=0.9, min_labels=10) for name in get_args(ScoreName)]


def cells(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(COUNT, min_size=size, max_size=size)


def some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A document with some of these parts."""
    return st.fixed_dictionaries({}, optional=parts)


MODEL = st.integers(1, 10).flatmap(
    lambda size: st.tuples(
        st.fixed_dictionaries(
            {"labels": COUNT},
            optional={
                "posts": COUNT,
                "postSquares": NUMBER,
                "confusion": st.lists(st.tuples(KEY, KEY, COUNT).map(list), max_size=4),
                "scores": st.lists(st.tuples(st.integers(0, 1), KEY, COUNT).map(list), max_size=4),
                "loss": some(n=COUNT, log=NUMBER, logSquare=NUMBER, square=NUMBER, fourth=NUMBER),
                "error": some(n=COUNT, abs=NUMBER, square=NUMBER, fourth=NUMBER, truth=NUMBER),
            },
        ),
        st.one_of(st.just({}), st.fixed_dictionaries({"confidence": cells(size), "correct": cells(size)})),
        some(certainty=st.lists(NUMBER, min_size=size, max_size=size)),
    ).map(lambda parts: {name: value for part in parts for name, value in part.items()})
)
WINDOWS = st.fixed_dictionaries(
    {"requests": COUNT, "rows": st.just(MOST_COUNTED), "counted": COUNT},
    optional={
        "squares": NUMBER,
        "features": st.tuples(cells(7), cells(5), cells(3)).map(list),
        "projections": st.lists(cells(3), min_size=1, max_size=2),
        "predictions": st.one_of(
            some(labels=cells(2), scores=cells(10), confidence=cells(10)),
            some(counts=cells(3), outside=COUNT),
        ),
        "feedback": st.dictionaries(st.sampled_from("ab"), MODEL, max_size=2),
        "outcomes": some(Counted=COUNT, Forged=COUNT),
    },
)


def readable(document: dict[str, Any]) -> dict[str, Any]:
    """What is taken of a document: parts that are refused are taken out first."""
    for part in (None, "squares", "features", "projections", "predictions", "feedback"):
        document = {name: value for name, value in document.items() if name != part}
        try:
            return counts.read(document)
        except ValueError:
            continue
    return counts.read({**document, "counted": 0})


def a_reference(rows: int, cell: int, outside: int) -> Reference:
    features = [
        {
            "name": "a" * 1024,
            "kind": "numeric",
            "edges": [1, 2, 3],
            "low": 0,
            "high": 9,
            "counts": [cell] * 4,
        },
        {
            "name": "b",
            "kind": "categorical",
            "values": ["x" * 999, "y"],
            "counts": [cell, rows],
            "other": cell,
        },
        {"name": "c", "kind": "date", "missing": 0},
    ]
    features[0]["outside"] = outside
    tenths = [cell] * 10
    found = {"labels": [cell, 0], "scores": tenths, "confidence": tenths, "correct": [0] * 10}
    projections = {"edges": [[0, 1]], "counts": [[cell] * 3]}
    document = {"rows": rows, "classes": ["n", "y"], "positiveClass": "y", "features": features}
    return Reference.read({**document, "projections": projections, "predictions": found})


@settings(max_examples=100, deadline=None)
@given(
    st.lists(WINDOWS.map(readable), min_size=1, max_size=3),
    st.sampled_from([0, 1, 100, 5000]),
    st.sampled_from([0, 10, 5000]),
    st.sampled_from([0, 18, 10**6]),
    st.sampled_from([1, 500]),
)
def test_what_is_taken_of_pods_can_be_summed_judged_scored_and_kept(
    windows: list[dict[str, Any]], rows: int, cell: int, outside: int, least: int
) -> None:
    window = counts.total([*windows, *windows])
    assert counts.read(window) == window
    for reference in (None, a_reference(rows, cell, outside)):
        judged = WindowJudge(Demands(least, 0.01, 0.0), reference, 0.0, 1)(3600, window)
        judged.model_dump_json()

    parts = tuple(
        Labels(3600 * place, 3600 * (place + 1), found, window.get("outcomes", {}))
        for place, found in enumerate(window.get("feedback", {}).values(), 1)
    )
    for positive in (None, 0, 1, 10**12):
        for score in scores(TARGETS, parts, positive):
            score.model_dump_json()
    outcomes(parts, "Ready").model_dump_json()

    kept = Kept("r", "sha256:a", 3600, 7, {8: window}, ("a" * 12,), (judged,), labels=parts, positive=1)
    assert read(text(kept)) == kept


def test_a_sum_beyond_the_bounds_stays_as_it_was() -> None:
    most = counts.read({"requests": 1, "rows": MOST_COUNTED, "counted": 0})
    assert counts.total([most, most]) == most


def test_wrong_predictions_of_too_many_kinds_are_of_another_class() -> None:
    pods = [[[place, true, 1] for place in range(1024)] for true in range(6)]
    window = counts.total(
        counts.read({"requests": 0, "rows": 0, "counted": 0, "feedback": {"m": {"labels": 1024, "confusion": table}}})
        for table in pods
    )  # fmt: skip
    table = window["feedback"]["m"]["confusion"]
    assert len(table) <= MOST_PAIRS
    assert sum(count for *_, count in table) == 6 * 1024
    assert sum(count for predicted, true, count in table if predicted == true) == 6
    assert [-1, 0, 1023] in table


def damaged(part: str, value: Any) -> Any:
    """A change of the text in the ConfigMap."""
    return lambda document: document.update({part: value})


@pytest.mark.parametrize(
    "change",
    [
        damaged("closed", 10**12),
        damaged("windows", [{"start": 10**10, "requests": 1, "rows": 1}]),
        damaged("streak", {"verdict": "Drifted", "windows": 9, "rows": 9, "since": 10**10}),
        damaged("windows", [{"start": 0, "requests": 1, "rows": 10**400}]),
        damaged("packed", "?"),
        damaged("packed", "AAAA"),
    ],
    ids=["closed", "windows", "streak", "rows", "base64", "zlib"],
)
def test_a_config_map_that_was_edited_does_not_stop_the_watch(change: Any) -> None:
    service = a_watched_service(
        monitoring={
            "drift": {"windowSeconds": WINDOW},
            "feedback": {"secretRef": {"name": "labels"}, "metrics": [{"name": "accuracy", "min": 0.9}]},
        }
    )
    pods = Reporting(service)
    pods.pass_windows(EVEN, EVEN, **labels(90, 10))
    written = json.loads(service.world.api.objects[pods.config]["data"]["windows.json"])
    change(written)
    service.world.edit(pods.config, data={"windows.json": json.dumps(written)})
    service.settles()

    pods.pass_windows(MOVED, MOVED)

    assert service.condition("DriftDetected")["status"] == "True"


def test_a_service_is_planned_whatever_its_profile_says() -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.counts("pod", {"id": pods.first, "requests": 1000, "rows": 1000, "counted": 1000, "squares": 1000,
                        "features": [[250, 250, 250, 250, 0, 0, 250], [500, 500, 0, 0, 0], [0, 0, 0]]})  # fmt: skip
    service.world.after(WINDOW)
    pods.are_asked(pods.first, reference=a_reference(5000, 100, 10**6))
    service.settles()

    assert pods.status["rows"] == 1000
    assert all(len(each["feature"]) <= 256 for each in pods.status.get("worst", ()))


@pytest.mark.parametrize("word", ["Ready", "\u00e9", "", 7, ["NoProfile"], {"a": 1}], ids=range(6))
def test_words_of_a_pod_that_are_none_of_the_format_are_not_shown(word: Any) -> None:
    report = read_report(document([], 1e9, profile=None, reason=word, feedback=word), "pod")
    assert report.reason == "ProfileUnusable"
    assert report.feedback in ("Off", "Ready")


def test_what_was_drift_is_forgotten_while_it_is_not_watched() -> None:
    streak = Streak(verdict="Drifted", windows=2, rows=2000, since=0)
    kept = Kept("r", "sha256:a", WINDOW, streak=streak, drifted=True)
    report = read_report(document([a_window(7)], 1e9), "pod")

    kept = advance(
        kept, Evidence(Reports("r", WINDOW, (report,), closable=7), {}), WindowJudge(None, None, 0.0, 2)
    )

    assert (kept.closed, kept.windows[0].rows, kept.streak, kept.drifted) == (7, 1000, None, None)
