"""Profiles and windows are read from the documents of the contracts, and windows of pods add up."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright.checks.monitored import Feature, Profile, Window

PROFILE: dict[str, Any] = {
    "version": 1,
    "rows": 100,
    "classes": ["no", True],
    "features": [
        {
            "name": "age",
            "kind": "numeric",
            "edges": [2.5, 40],
            "low": 1,
            "high": 90,
            "counts": [20, 50, 29],
            "missing": 1,
            "outside": 4,
        },
        {
            "name": "visits",
            "kind": "numeric",
            "values": [0, 1.5],
            "counts": [60, 30],
            "other": 10,
            "missing": 0,
        },
        {
            "name": "plan",
            "kind": "categorical",
            "values": ["basic", "pro"],
            "counts": [70, 20],
            "other": 5,
            "missing": 5,
        },
        {
            "name": "note",
            "kind": "text",
            "edges": [],
            "low": None,
            "high": None,
            "counts": [99],
            "missing": 1,
        },
        {"name": "day", "kind": "date", "missing": 7},
    ],
    "projections": {"edges": [[0.5], []], "counts": [[40, 60], [100]]},
    "predictions": {
        "labels": [70, 30],
        "scores": [10] * 10,
        "confidence": [0, 0, 0, 0, 0, 20, 20, 20, 20, 20],
        "correct": [0, 0, 0, 0, 0, 10, 12, 14, 17, 19],
    },
}
WINDOW: dict[str, Any] = {
    "id": 3,
    "requests": 2,
    "rows": 4,
    "counted": 4,
    "squares": 10,
    "features": [[1, 2, 1, 0, 0, 1], [4, 0, 0, 0, 0], [1, 1, 2, 0, 0], [4, 0, 0, 0], [0, 4, 0]],
    "projections": [[1, 3], [4]],
    "predictions": {"labels": [1, 3], "scores": [4] + 9 * [0], "confidence": 9 * [0] + [4]},
}
REGRESSION: dict[str, Any] = {
    "rows": 100,
    "features": [],
    "projections": None,
    "predictions": {"value": "y", "edges": [1.0], "low": 0, "high": 2, "counts": [50, 50], "outside": 3},
}


def test_a_profile_of_a_classifier() -> None:
    profile = Profile.read(PROFILE)
    age, visits, plan, note, day = profile.features
    assert age == Feature("age", "Ordered", (20, 50, 29), (2.5, 40.0), missing=1, outside=4)
    assert (visits.kind, visits.values, visits.other) == ("Ordered", ("0", "1.5"), 10)
    assert (plan.kind, plan.values, plan.other, plan.outside) == ("Named", ("basic", "pro"), 5, None)
    assert (note.counts, note.outside) == ((99,), None)
    assert (day.kind, day.counts, day.missing) == ("Nothing", (), 7)
    assert [each.counts for each in profile.projections] == [(40, 60), (100,)]
    assert [each.name for each in profile.predictions] == ["label", "score", "confidence"]
    assert profile.predictions[0].values == ("no", "True")
    assert sum(profile.correct) == 72


def test_a_profile_of_a_regressor() -> None:
    profile = Profile.read(REGRESSION)
    (prediction,) = profile.predictions
    assert (prediction.name, prediction.counts, prediction.outside) == ("prediction", (50, 50), 3)
    window = Window.read(
        {
            "requests": 1,
            "rows": 3,
            "counted": 3,
            "features": [],
            "predictions": {"counts": [1, 2], "outside": 1},
        },
        profile,
    )
    assert window.predictions == ((1, 2, 0, 0, 1),)
    assert window.projections == ()


def test_a_profile_of_a_model_without_probabilities() -> None:
    predictions = {"labels": [70, 30], "scores": None, "confidence": None, "correct": None}
    profile = Profile.read(PROFILE | {"predictions": predictions})
    assert [each.name for each in profile.predictions] == ["label"]
    assert profile.correct == ()
    assert Profile.read(PROFILE | {"predictions": None}).predictions == ()


def test_cells_in_words() -> None:
    age, visits, _, note, _ = Profile.read(PROFILE).features
    assert [age.cell(index) for index in range(3)] == ["<= 2.5", "2.5 to 40", "> 40"]
    assert visits.cell(1) == "1.5"
    assert note.cell(0) == "all"


def test_windows_of_pods_add_up() -> None:
    profile = Profile.read(PROFILE)
    one = Window.read(WINDOW, profile)
    cut = Window.read(WINDOW | {"features": None, "projections": None, "predictions": None}, profile)
    both = one + one
    assert (both.requests, both.rows, both.counted, both.squares) == (4, 8, 8, 20)
    assert both.features[0] == (2, 4, 2, 0, 0, 2)
    assert both.projections == ((2, 6), (8,))
    # A pod that could not say its features says nothing about them.
    assert (one + cut).features == (cut + one).features == one.features
    assert (one + cut).rows == 8


def test_a_server_that_does_not_say_squares_had_requests_of_one_size() -> None:
    document = {name: value for name, value in WINDOW.items() if name != "squares"}
    assert Window.read(document, Profile.read(PROFILE)).squares == 8


@pytest.mark.parametrize(
    "change",
    [
        {"features": [[1]]},
        {"features": [[1], [1], [1], [1], [1]]},
        {"projections": [[1, 3, 2], [4]]},
        {"predictions": {"labels": [1], "scores": [4], "confidence": [4]}},
        {"requests": -1},
        {"requests": 1.5},
        {"rows": True},
        {"counted": None},
        {"features": 7},
        {"predictions": []},
    ],
)
def test_a_window_with_other_cells_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"window|cells|count"):
        Window.read(WINDOW | change, Profile.read(PROFILE))


@pytest.mark.parametrize(
    "change",
    [
        {"rows": "many"},
        {"features": [{"name": "a", "kind": "numeric", "edges": [1], "counts": [1]}]},
        {"features": [{"name": "a", "kind": "numeric", "values": [1], "counts": [1, 2]}]},
        {"features": [{"kind": "numeric"}]},
        {"projections": {"edges": [[1]], "counts": []}},
    ],
)
def test_what_is_no_profile_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"profile|edges|values|count|zip"):
        Profile.read(PROFILE | change)
