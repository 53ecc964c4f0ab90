"""What a server shows for a rollout is what the operator counts."""

from __future__ import annotations

from dataclasses import replace
from time import time

import numpy as np
import pytest

from modelwright.checks.against_stable import score_drop
from modelwright.checks.verdict import Demands
from modelwright.inferenceservice.analysis.exposition import scraped
from modelwright.inferenceservice.analysis.scrape_targets import Step
from modelwright.inferenceservice.analysis.tally import step_counts
from modelwright_serving.feedback.feedback import Feedback
from modelwright_serving.feedback.keys import Key, Keys
from modelwright_serving.feedback.tokens import Issuer
from modelwright_serving.metrics import Metrics
from modelwright_serving.predictions import Predictions, Read
from modelwright_serving.rollout_view import render
from modelwright_serving.traffic.compare import Comparison, Uncompared
from modelwright_serving.traffic.counts import CopyOutcome, Outcome

MODELS = {"old": "sha256:" + "ab" * 32, "new": "sha256:" + "cd" * 32}
DEMANDS = Demands(alpha=0.005, min_samples=100, min_failures=3)
STEP = Step("2026-01-01T00:00:00Z", "new", frozenset(("old", "new")))
BAKE = Step("2026-01-01T00:00:00Z", "new", frozenset(("new",)), direct=True, retired="old")


def a_server(other: str) -> Metrics:
    """A server that has answered, and has delegated to another revision and compared answers with it."""
    server = Metrics('a "model"', "churn-1")
    for code, seconds in ((200, 0.01), (200, 0.2), (503, 300.0)):
        server.http.done(code, seconds)
    server.grpc.done("OK", 0.2)
    seen = server.traffic.revision(other)
    seen.outcomes.update(dict.fromkeys(Outcome, 3))
    seen.copied.update(dict.fromkeys(CopyOutcome, 5))
    seen.uncompared.update(dict.fromkeys(Uncompared, 6))
    seen.add(Comparison(10, 7, 3, 0.02, non_finite=True))
    seen.add(Comparison(0, 0, 3, 0.0))
    return server


def test_every_number_of_a_step_arrives() -> None:
    server = a_server("new")
    scrape = scraped(render(server).decode())
    assert scrape.started == server.started > 0
    found = step_counts(STEP, [("old", scrape.counts)])
    assert found.delegated == {outcome.value: 3 for outcome in Outcome}
    assert found.shadowed == {outcome.value: 5 for outcome in CopyOutcome}
    assert found.uncompared == {reason.value: 6 for reason in Uncompared}
    assert (found.labelled, found.non_finite) == (1, 1)
    assert found.agreement == pytest.approx(0.7)
    assert found.stable_answered == {"200": 2, "503": 1, "OK": 1}
    assert sum(found.stable_durations.values()) == 4
    for seconds, count in ((0.01, 1), (0.2, 2), (300.0, 1)):
        assert [n for (lower, upper), n in found.stable_durations.items() if lower < seconds <= upper] == [
            count
        ]
    assert [n for (lower, upper), n in found.differences.items() if lower < 0.02 <= upper] == [1]
    assert found.differences[0.0, 0.0] == 1


def test_requests_that_the_revision_before_answers_arrive() -> None:
    found = step_counts(BAKE, [("new", scraped(render(a_server("old")).decode()).counts)])
    assert found.rescued == 3


def test_labels_and_predictions_arrive_as_they_are_judged() -> None:
    """Of 2,000 answers of a stable pod, of which labels of both models came back."""
    server, classes = Metrics("churn", "1"), Predictions(("no", "yes"), 1, 0, 1)
    server.feedback = Feedback(wanted=True, max_age_seconds=3600)
    key = Key(bytes(16), "churn")
    server.feedback.use(Keys(key, (key,)))
    server.feedback.follow(MODELS["old"], classes)
    hour = int(time() // 3600)
    for revision, right in (("old", 450), ("new", 300)):
        read = Read(np.ones(500, np.int64), np.full(500, 0.75, np.float32))
        tokens = Issuer(MODELS[revision], classes.meaning).make(key, read, hour)
        for number, token in enumerate(tokens):
            delivery = server.feedback.begin()
            delivery.count(token.decode(), "yes" if number < right else "no")
            delivery.end()
    step = replace(STEP, model="cdcdcdcd", stable_model="abababab")
    found = step_counts(step, [("old", scraped(render(server).decode()).counts)])
    assert (found.stable_labels["labels"], found.stable_labels["right"]) == (500, 450)
    assert found.labels is not None
    assert (found.labels["right"], found.labels["postSquares"]) == (300, 500)
    for metric in ("accuracy", "log_loss"):
        judged = score_drop(metric, found.labels, found.stable_labels, 0.02, 100, DEMANDS)
        assert (judged.result, judged.samples) == ("Fail", 500), metric
