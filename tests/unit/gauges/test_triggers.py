"""What became of the triggers of a TrainingJob, as gauges."""

from __future__ import annotations

from unit.gauges.examples import decided
from unit.gauges.test_conditions import samples
from unit.given.resources import a_training_job, a_world

OF = {"namespace": "team", "name": "churn"}


def test_the_last_decision_and_the_next_time_of_a_job_are_shown() -> None:
    world = decided(a_training_job(a_world(), triggers={"schedule": "0 3 * * 1"}).settles()).world
    labels = {"trigger": "Drift", "outcome": "Skipped", "reason": "Cooldown"}
    assert samples(world, "modelwright_last_decision_time_seconds") == [({**OF, **labels}, 1767225600.0)]
    assert samples(world, "modelwright_next_schedule_time_seconds") == [(OF, 1767582000.0)]
    assert samples(world, "modelwright_run_failures_in_a_row") == [(OF, 2.0)]
