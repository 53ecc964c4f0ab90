"""The operator dies before and after each of its writes: nothing is run twice, lost or stuck."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from fakes.api import Crash
from unit.given import words
from unit.given.pods import Pod
from unit.given.resources import TrainingJob, a_service, a_training_job, a_world
from unit.given.world import NAMESPACE, World, finish

from modelwright.common.conditions import true_condition
from modelwright.common.indexes import INDEXES
from modelwright.common.resources import JOBS, MODEL_VERSIONS
from modelwright.common.times import to_timestamp
from modelwright.engine.cache import Cache
from modelwright.engine.errors import Conflict
from modelwright.engine.executor import Executor
from modelwright.engine.objects import Key

PROBE = Key(JOBS, NAMESPACE, "churn-probe")
MOST_LOOKS = 60
HOURLY = {"schedule": "0 * * * *"}
ONE_OCLOCK = datetime.fromisoformat("2026-01-01T01:00:00+00:00")
Story = Callable[[TrainingJob], object]


def works(job: TrainingJob, *, equal_data: bool = False) -> None:
    """The operator and the cluster work until nothing is left to do. An operator that dies is started again: at first
    it does not see its Jobs, or the ModelVersions."""
    lagging, lags = [JOBS, MODEL_VERSIONS], False
    for _ in range(MOST_LOOKS):
        try:
            wrote = job.looks_once()
        except Crash:
            job.world.restart(unseen=lagging[0])
            lagging.reverse()
            lags = True
            continue
        if wrote:
            continue
        if lags or _the_cluster_works(job, equal_data=equal_data):
            job.world.restart()  # what was not seen is seen now
            lags = False
            continue
        return
    raise AssertionError("it does not come to rest")


def _the_cluster_works(job: TrainingJob, *, equal_data: bool) -> bool:
    """A Job without a pod gets one, which ends. False if there is none."""
    for key, body in list(job.world.api.objects.items()):
        if key.resource != JOBS or true_condition(body, "Complete") or true_condition(body, "Failed"):
            continue
        pod = Pod.of(job.world, body)
        if key == PROBE:
            pod.ends("probe", {"marker": "two"})
        elif equal_data:
            pod.fails("fetch", "DataUnchanged")
        else:
            pod.finishes(words.published("b"), fetched={**words.fetched(), "marker": "two"})
        kind = "Failed" if equal_data and key != PROBE else "Complete"
        ended = {
            "type": kind,
            "status": "True",
            "reason": "X",
            "lastTransitionTime": to_timestamp(job.world.now),
        }
        job.world.edit(key, status={"conditions": [ended]})
        return True
    return False


def by_schedule(job: TrainingJob) -> None:
    job.world.api.now = ONE_OCLOCK
    works(job)


def with_equal_data(job: TrainingJob) -> None:
    job.world.api.now = ONE_OCLOCK
    works(job, equal_data=True)


def by_hand(job: TrainingJob) -> None:
    job.is_asked("t1")
    works(job)


def by_drift(job: TrainingJob) -> None:
    works(job)


def by_data(job: TrainingJob) -> None:
    job.world.after(600)
    works(job)


def by_schedule_and_hand(job: TrainingJob) -> None:
    job.world.api.now = ONE_OCLOCK
    job.is_asked("t1")
    works(job)


STORIES: dict[str, tuple[dict[str, Any], Story]] = {
    "schedule": ({"triggers": HOURLY}, by_schedule),
    "equal data": ({"triggers": HOURLY}, with_equal_data),
    "by hand": ({}, by_hand),
    "drift": (
        {"triggers": {"onDrift": {"serviceRef": {"name": "churn"}}}, "brakes": {"cooldownSeconds": 0}},
        by_drift,
    ),
    "data": ({"triggers": {"onDataChange": {"intervalSeconds": 600}}}, by_data),
    "schedule and by hand": ({"triggers": HOURLY}, by_schedule_and_hand),
}


def a_job(spec: dict[str, Any]) -> TrainingJob:
    """Its first run has succeeded, with data whose marker is `one`. A service that it names drifts since."""
    job = a_training_job(a_world(), **spec).settles()
    job.pod().finishes(fetched={**words.fetched(), "marker": "one"})
    job.job_completes().settles()
    job.version.settles()
    job.settles()
    if "onDrift" in spec.get("triggers", {}):
        a_service(job.world, None, monitoring={"drift": {}}).serves().drifts("2026-01-01T00:00:00Z")
    return job


def end_of(job: TrainingJob) -> dict[str, Any]:
    """What does not depend on when the operator looked."""
    triggers = job.status["triggers"]
    return {
        "run": {name: job.run.get(name) for name in ("number", "state", "reason", "knownDigest")},
        "cause": (job.run["cause"]["trigger"], job.run["cause"].get("evidence")),
        "decided": job.decided("trigger", "outcome", "reason", "run", "message"),
        "kept": {name: triggers.get(name) for name in ("scheduleSince", "tokens", "handled", "marker")},
        "history": [(run["number"], run["state"]) for run in job.status["history"]],
        "versions": job.versions,
        "jobs": job.jobs,
        "ready": (job.reason, job.message),
    }


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("story", STORIES)
def test_a_crash_between_any_two_lines_changes_nothing_of_the_end(story: str, moment: Any) -> None:
    spec, happens = STORIES[story]
    calm = a_job(spec)
    before = len(calm.world.api.writes)
    happens(calm)
    expected, writes = end_of(calm), len(calm.world.api.writes) - before
    assert expected["run"]["number"] == 2

    for skip in range(writes):
        job = a_job(spec)
        job.world.api.fail(Crash, moment, skip=skip)
        happens(job)
        assert end_of(job) == expected, f"it died {moment} its write {skip + 1} of {writes}"


def test_a_former_leader_that_looks_late_starts_nothing() -> None:
    """It plans the same run from what it has seen, and the API server refuses its status."""
    job = a_job({"triggers": HOURLY})
    world, former = job.world, Cache(indexes=INDEXES)
    for key, body in world.api.objects.items():
        former.put(key.resource, body)
    world.api.now = ONE_OCLOCK
    late = world.planners[job.key.resource](former, job.key, world.now)
    assert late.status is not None
    assert late.status["run"]["number"] == 2

    works(job)
    with pytest.raises(Conflict):
        finish(Executor(world.api, former, world.told).execute(job.key, late))

    assert (job.run["number"], job.run["state"]) == (2, "Succeeded")
    assert job.jobs == ["churn-2"]


def test_a_run_for_each_minute_is_numbered_without_a_gap_although_the_operator_dies() -> None:
    job = a_job({"triggers": {"schedule": "* * * * *"}})
    world: World = job.world
    world.api.now = ONE_OCLOCK
    for minute in range(5):
        world.api.fail(Crash, "after" if minute % 2 else "before", skip=minute % 3)
        works(job)
        world.api.faults.clear()
        world.after(60)

    numbers = [run["number"] for run in (job.run, *job.status["history"])]
    assert numbers == [6, 5, 4, 3, 2, 1]
    times = [run["cause"]["evidence"]["scheduleTime"] for run in (job.run, *job.status["history"][:-1])]
    assert len(set(times)) == 5
    assert [key.name for key in world.api.objects if key.resource == MODEL_VERSIONS] == [
        f"churn-{number}" for number in range(1, 7)
    ]
