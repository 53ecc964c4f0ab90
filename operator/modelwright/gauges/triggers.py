"""What becomes of the triggers of TrainingJobs, from their status. Pure. Decisions are counted by the engine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from prometheus_client.core import GaugeMetricFamily, Metric

from modelwright.common.indexes import JOBS_TRIGGERED, YES
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import name, namespace, status_of

MOST_JOBS = 1000
_JOB = ("namespace", "name")


def triggers(view: View) -> Iterator[Metric]:
    """The next time of the schedule, the last decision and the failures, of a bounded number of jobs."""
    due = GaugeMetricFamily(
        "modelwright_next_schedule_time_seconds",
        "When the schedule starts a run next: Unix time.",
        labels=_JOB,
    )
    decided = GaugeMetricFamily(
        "modelwright_last_decision_time_seconds",
        "When it was last decided whether a run starts: Unix time.",
        labels=(*_JOB, "trigger", "outcome", "reason"),
    )
    failures = GaugeMetricFamily(
        "modelwright_run_failures_in_a_row",
        "Runs of triggers that failed since one has succeeded.",
        labels=_JOB,
    )
    for job in islice(view.indexed(JOBS_TRIGGERED, None, YES), MOST_JOBS):
        of, found = (namespace(job), name(job)), status_of(job)["triggers"]
        if found.get("nextScheduleTime"):
            due.add_metric(of, from_timestamp(found["nextScheduleTime"]).timestamp())
        if last := found.get("lastDecision"):
            labels = (*of, last["trigger"], last["outcome"], last["reason"])
            decided.add_metric(labels, from_timestamp(last["at"]).timestamp())
        failures.add_metric(of, found.get("failuresInARow") or 0)
    yield from (due, decided, failures)
