"""What a server shows for a rollout is what the operator counts."""

from __future__ import annotations

import pytest

from modelwright.inferenceservice.analysis.exposition import scraped
from modelwright.inferenceservice.analysis.scrape_targets import Step
from modelwright.inferenceservice.analysis.tally import step_counts
from modelwright_serving.metrics import Metrics
from modelwright_serving.rollout_view import render
from modelwright_serving.traffic.compare import Comparison, Uncompared
from modelwright_serving.traffic.counts import CopyOutcome, Outcome

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
