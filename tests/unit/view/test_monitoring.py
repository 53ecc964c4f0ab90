"""What `status` draws of the requests to a service."""

from __future__ import annotations

from unit.cli.given import a_served_version, drawn
from unit.given.monitoring import EVEN, MOVED, WINDOW, Reporting, a_watched_service, labels


def test_drift_and_scores_are_shown_with_their_numbers() -> None:
    feedback = {"secretRef": {"name": "labels"}, "metrics": [{"name": "accuracy", "min": 0.9}]}
    service = a_watched_service(monitoring={"drift": {"windowSeconds": WINDOW}, "feedback": feedback})
    Reporting(service).pass_windows(EVEN, MOVED, MOVED, **labels(70, 30, Forged=2))

    text = drawn(service)

    assert ": 1,000 rows, Drifted (FeatureDrift), 2 in a row" in text
    assert "DRIFTED  age" in text
    assert "ok       income" in text
    assert "estimated accuracy 0.8: without labels, so blind to changes of meaning" in text
    assert "BELOW TARGET" in text
    assert "300 labels" in text
    assert "labels that do not count: 6 forged" in text


def test_a_service_that_is_not_watched_has_no_such_lines() -> None:
    assert "Requests" not in drawn(a_served_version())
