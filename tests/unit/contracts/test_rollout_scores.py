"""What a server shows of labels that came back, and of its predictions, is what the operator compares revisions by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modelwright.inferenceservice.analysis import exposition
from modelwright.inferenceservice.analysis.exposition import scraped
from modelwright_serving.feedback.feedback import Feedback
from modelwright_serving.feedback.keys import Key, Keys
from modelwright_serving.feedback.tokens import Issuer
from modelwright_serving.metrics import Metrics
from modelwright_serving.predictions import Predictions, Read
from modelwright_serving.rollout_view import render

KEY = Key(bytes(16), "churn")
STABLE, CANARY = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
CLASSES, NUMBERS = Predictions(("no", "yes"), 1, 0, 1), Predictions((), None, None, 0)
HOUR = 2_000_000


def a_server(predictions: Predictions) -> Metrics:
    server = Metrics("churn", "1")
    server.feedback = Feedback(wanted=True, max_age_seconds=3600)
    server.feedback.use(Keys(KEY, (KEY,)))
    server.feedback.follow(STABLE, predictions)
    server.predicted.follow(predictions)
    return server


def deliver(
    server: Metrics, digest: str, predictions: Predictions, values: list[float], truth: list[Any]
) -> None:
    """One request with labels."""
    read = Read(np.array([int(value > 0.5) for value in values]), np.array(values, np.float32))
    delivery = server.feedback.begin()
    for token, true in zip(Issuer(digest, predictions.meaning).make(KEY, read, HOUR), truth, strict=True):
        delivery.count(token.decode(), true)
    assert delivery.end()["counted"] == len(truth)


def test_labels_of_both_revisions_arrive() -> None:
    server = a_server(CLASSES)
    deliver(server, STABLE, CLASSES, [0.75, 0.75, 0.25], ["yes", "no", "no"])
    deliver(server, STABLE, CLASSES, [0.75], ["yes"])
    deliver(server, CANARY, CLASSES, [0.5, 0.5], ["yes", "no"])
    found = scraped(render(server).decode()).counts
    wrong, right = (-np.log(p) for p in (0.25, 0.75))
    assert found == pytest.approx(
        {
            (exposition.RIGHT, "abababab", "true"): 3,
            (exposition.RIGHT, "abababab", "false"): 1,
            (exposition.LOSSES, "abababab", "n"): 4,
            (exposition.LOSSES, "abababab", "log"): 3 * right + wrong,
            (exposition.LOSSES, "abababab", "logSquare"): 3 * right**2 + wrong**2,
            (exposition.POSTS, "abababab", "n"): 2,
            (exposition.POSTS, "abababab", "squares"): 10,
            (exposition.RIGHT, "cdcdcdcd", "true"): 1,
            (exposition.RIGHT, "cdcdcdcd", "false"): 1,
            (exposition.LOSSES, "cdcdcdcd", "n"): 2,
            (exposition.LOSSES, "cdcdcdcd", "log"): 2 * np.log(2),
            (exposition.LOSSES, "cdcdcdcd", "logSquare"): 2 * np.log(2) ** 2,
            (exposition.POSTS, "cdcdcdcd", "n"): 1,
            (exposition.POSTS, "cdcdcdcd", "squares"): 4,
        }
    )


def test_errors_of_a_regression_arrive() -> None:
    server = a_server(NUMBERS)
    deliver(server, CANARY, NUMBERS, [10.0, 20.0], [12.0, 19.0])
    assert scraped(render(server).decode()).counts == {
        (exposition.ERRORS, "cdcdcdcd", "n"): 2,
        (exposition.ERRORS, "cdcdcdcd", "abs"): 3,
        (exposition.ERRORS, "cdcdcdcd", "square"): 5,
        (exposition.POSTS, "cdcdcdcd", "n"): 1,
        (exposition.POSTS, "cdcdcdcd", "squares"): 4,
    }


def test_predictions_arrive() -> None:
    labels = np.array(["yes", "no", "yes"], np.object_)
    table = np.array([[0.08, 0.92], [0.6, 0.4], [0, 1]], np.float32)
    job = SimpleNamespace(ticket=SimpleNamespace(is_copy=False), rows=3)
    run: Any = SimpleNamespace(group=[job], rows=3, result=[labels, table])
    server = a_server(CLASSES)
    server.predicted.asked()
    server.predicted.take([run])
    classes = CLASSES.meaning.hex()
    assert scraped(render(server).decode()).counts == {
        (exposition.PREDICTED, classes, "0"): 1,
        (exposition.PREDICTED, classes, "1"): 2,
        (exposition.PREDICTED_CELLS, classes, "8"): 1,
        (exposition.PREDICTED_CELLS, classes, "18"): 1,
        (exposition.PREDICTED_CELLS, classes, "19"): 1,
        (exposition.PREDICTED_ROWS, "requests"): 1,
        (exposition.PREDICTED_ROWS, "rows"): 3,
        (exposition.PREDICTED_ROWS, "squares"): 9,
    }
