"""What a server counts of feedback is what the operator computes scores from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from sklearn import metrics
from unit.contracts.schemas import defects, definition, schema

from modelwright.checks.scores import score
from modelwright_serving.feedback.feedback import Feedback, Outcome
from modelwright_serving.feedback.keys import Key, Keys
from modelwright_serving.feedback.tokens import Issuer
from modelwright_serving.limits import FEEDBACK
from modelwright_serving.predictions import Predictions, Read

KEY = Key(bytes(16), "churn")
DIGEST = "sha256:" + "ab" * 32
HOUR = 2_000_000
ROWS = 2000


def window(predictions: Predictions, labels: Any, values: Any, truth: list[Any]) -> dict[str, Any]:
    """What a server reports when all these predictions come back."""
    feedback = Feedback(wanted=True, max_age_seconds=3600)
    feedback.use(Keys(KEY, (KEY,)))
    feedback.follow(DIGEST, predictions)
    feedback.window = lambda: 7
    made = Issuer(DIGEST, predictions.meaning).make(KEY, Read(labels, values.astype(np.float32)), HOUR)
    assert all(
        Draft202012Validator(definition("feedback", "token")).is_valid(token.decode()) for token in made
    )
    for token, true in zip(made, truth, strict=True):
        assert feedback.count(token.decode(), true)[0] is Outcome.COUNTED
    part = feedback.part(7)
    reported: dict[str, Any] = part["feedback"]["abababab"]
    assert defects("monitor", _report(part)) == []
    return reported


def _report(part: dict[str, Any]) -> dict[str, Any]:
    counts = {"id": 7, "requests": 0, "rows": 0, "counted": 0, "squares": 0}
    empty = {"features": None, "projections": None, "predictions": None}
    return {
        "started": 1.0,
        "digest": DIGEST,
        "profile": None,
        "reason": "NoProfile",
        "window": 60,
        "now": 2.0,
        "windows": [{**counts, **empty, **part}],
        "feedback": "Ready",
    }


def test_scores_of_two_classes_are_those_of_the_rows() -> None:
    chance = np.random.default_rng(1)
    logit = chance.normal(-3, 2, ROWS)
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    truth = chance.random(ROWS) < probability
    said = probability > 0.3
    found = window(
        Predictions(("no", "yes"), 1, 0, 1),
        said.astype(np.int64),
        probability,
        np.where(truth, "yes", "no").tolist(),
    )
    for name, value, off in (
        ("accuracy", metrics.accuracy_score(truth, said), 1e-12),
        ("balanced_accuracy", metrics.balanced_accuracy_score(truth, said), 1e-12),
        ("precision", metrics.precision_score(truth, said), 1e-12),
        ("recall", metrics.recall_score(truth, said), 1e-12),
        ("f1", metrics.f1_score(truth, said), 1e-12),
        ("roc_auc", metrics.roc_auc_score(truth, probability), 0.001),
        ("log_loss", metrics.log_loss(truth, probability), 1e-6),
        ("brier_score", metrics.brier_score_loss(truth, probability), 1e-6),
    ):
        scored = score(name, found, 1)
        assert scored is not None, name
        assert scored.value == pytest.approx(value, abs=off), name
        assert scored.low < value < scored.high


def test_scores_of_a_regression_are_those_of_the_rows() -> None:
    chance = np.random.default_rng(2)
    truth = chance.normal(50, 9, ROWS)
    said = (truth + chance.normal(1, 4, ROWS)).astype(np.float32)
    found = window(Predictions((), None, None, 0), np.zeros(ROWS, np.int64), said, truth.tolist())
    for name, value in (
        ("mae", metrics.mean_absolute_error(truth, said)),
        ("rmse", metrics.root_mean_squared_error(truth, said)),
    ):
        scored = score(name, found, None)
        assert scored is not None, name
        assert scored.value == pytest.approx(value), name
        assert scored.low < value < scored.high


def test_the_bounds_of_a_request_are_those_of_the_server() -> None:
    for name in ("tokens", "truth"):
        assert schema("feedback")["properties"][name]["maxItems"] == FEEDBACK.entries
    assert set(definition("feedback", "answer")["required"]) == {outcome.key for outcome in Outcome}
    assert defects("feedback", {"tokens": ["a"], "truth": [None]}) != []
    assert defects("feedback", {"tokens": ["a", "b"], "truth": ["yes", 1.5]}) == []
