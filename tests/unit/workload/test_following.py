"""How a Job's work stands, as a table: the Job, its pods and what is known besides, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from unit.given import words

from modelwright.common.times import to_timestamp
from modelwright.workload.following import (
    Deleted,
    Ended,
    Ending,
    Failed,
    Failing,
    NotMade,
    NotSeen,
    Postponed,
    Retrying,
    Running,
    Starting,
    Suspended,
    Work,
    follow,
)
from modelwright.workload.podstatus import Problem

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=60)
QUOTA = Problem("QuotaExceeded", "its pods are refused: exceeded quota: room")
RUNS: Mapping[str, Any] = {"running": {}}
WAITS: Mapping[str, Any] = {"waiting": {"reason": "PodInitializing"}}


def a_job(end: str | None = None, reason: str = "", **spec: Any) -> dict[str, Any]:
    """A Job made at START, that has ended at END if `end` says how."""
    condition = {"type": end, "status": "True", "reason": reason, "message": "as it is"}
    ended = [{**condition, "lastTransitionTime": to_timestamp(END)}] if end else []
    return {
        "metadata": {"name": "churn-1", "creationTimestamp": to_timestamp(START)},
        "spec": {"backoffLimit": 1, "activeDeadlineSeconds": 60, **spec},
        "status": {"conditions": ended},
    }


def a_pod(*states: Mapping[str, Any], **status: Any) -> dict[str, Any]:
    """A pod whose three steps are in these states; those that are not given wait."""
    whole = [*states, *[WAITS] * (3 - len(states))]
    steps = [
        {"name": step, "image": "training:1", "state": state}
        for step, state in zip(("fetch", "train", "publish"), whole, strict=True)
    ]
    return {"status": {"initContainerStatuses": steps[:2], "containerStatuses": steps[2:], **status}}


def done(step: str) -> dict[str, Any]:
    """The state of a step that ended well."""
    return {"terminated": {"exitCode": 0, "message": words.result(step, words.RESULTS[step])}}


def died(code: int, step: str = "fetch", reason: str = "FetchFailed") -> dict[str, Any]:
    """The state of a step that ended badly."""
    return {"terminated": {"exitCode": code, "message": words.error(step, reason, "why")}}


def blocked(reason: str) -> dict[str, Any]:
    """The state of a container that cannot start."""
    return {"waiting": {"reason": reason, "message": "no"}}


DRAINED = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}
FINISHED = a_pod(done("fetch"), done("train"), done("publish"))
FETCH_FAILED = Problem("FetchFailed", "fetch: why")
UNPULLABLE = Problem(
    "ImagePullFailed", "fetch: image training:1 cannot be pulled; check its name and its pull secret"
)
LATE = "it took longer than activeDeadlineSeconds: 60"

CASES: dict[str, tuple[dict[str, Any], object]] = {
    "no Job": ({}, NotMade()),
    "a Job that was there": ({"existed": True}, NotSeen()),
    "a Job that was there and is gone": ({"existed": True, "absent": True}, Deleted()),
    "a Job that is gone and was never there": ({"absent": True}, NotMade()),
    "suspended": ({"job": a_job(suspend=True)}, Suspended()),
    "suspended, by its condition": ({"job": a_job("Suspended")}, Suspended()),
    "no pod yet": ({"job": a_job()}, Starting()),
    "pods that are refused": ({"job": a_job(), "refused": QUOTA}, Starting(QUOTA)),
    "a pod that was made after all": (
        {"job": a_job(), "pods": [a_pod(RUNS)], "refused": QUOTA},
        Running("fetch"),
    ),
    "a pod that starts": ({"job": a_job(), "pods": [a_pod()]}, Starting()),
    "a pod that cannot start": (
        {"job": a_job(), "pods": [a_pod(blocked("ErrImagePull"))]},
        Starting(UNPULLABLE),
    ),
    "the first step": ({"job": a_job(), "pods": [a_pod(RUNS)]}, Running("fetch")),
    "between two steps": ({"job": a_job(), "pods": [a_pod(done("fetch"))]}, Running("train")),
    "all done but for the Job": ({"job": a_job(), "pods": [FINISHED]}, Running("publish")),
    "an attempt that failed": ({"job": a_job(), "pods": [a_pod(died(75))]}, Retrying(FETCH_FAILED)),
    "the attempt after it": ({"job": a_job(), "pods": [a_pod(RUNS), a_pod(died(75))]}, Running("fetch")),
    "the attempt after it, about to start": (
        {"job": a_job(), "pods": [a_pod(), a_pod(died(75))]},
        Retrying(FETCH_FAILED),
    ),
    "the last attempt that failed": (
        {"job": a_job(), "pods": [a_pod(died(75)), a_pod(died(1))]},
        Failing(FETCH_FAILED),
    ),
    "a drained node does not count": (
        {"job": a_job(), "pods": [a_pod(died(143), **DRAINED), a_pod(died(75))]},
        Retrying(replace(FETCH_FAILED, own=True)),
    ),
    "an attempt that cannot work": (
        {"job": a_job(), "pods": [a_pod(died(65))]},
        Failing(Problem("FetchFailed", "fetch: why", permanent=True, own=True)),
    ),
    "ended well": (
        {"job": a_job("Complete"), "pods": [FINISHED]},
        Ended(FINISHED, {step: words.RESULTS[step] for step in ("fetch", "train", "publish")}),
    ),
    "ended well, its pod not seen": (
        {"job": a_job("Complete")},
        Ending(END + timedelta(seconds=20), complete=True),
    ),
    "ended well, its pod never seen": (
        {"job": a_job("Complete"), "later": 20},
        Failed(Problem("ResultLost", "the pod was deleted before its result was read")),
    ),
    "failed": (
        {"job": a_job("Failed", "PodFailurePolicy"), "pods": [a_pod(died(65))]},
        Failed(Problem("FetchFailed", "fetch: why", permanent=True, own=True)),
    ),
    "tried often enough": (
        {"job": a_job("Failed", "BackoffLimitExceeded"), "pods": [a_pod(died(75)), a_pod(died(1))]},
        Failed(FETCH_FAILED),
    ),
    "failed, its pod not seen": (
        {"job": a_job("Failed", "BackoffLimitExceeded")},
        Ending(END + timedelta(seconds=20), complete=False),
    ),
    "failed, its pod never seen": (
        {"job": a_job("Failed", "BackoffLimitExceeded"), "later": 20},
        Failed(Problem("BackoffLimitExceeded", "the Job failed: as it is")),
    ),
    "data that is not there yet": (
        {"job": a_job("Failed", "PodFailurePolicy"), "pods": [a_pod(died(65, "fetch", "DataNotFound"))]},
        Postponed(
            Problem("DataNotFound", "fetch: why", permanent=True, missing=True), END + timedelta(seconds=60)
        ),
    ),
    "a store that fails after all retries": (
        {
            "job": a_job("Failed", "BackoffLimitExceeded"),
            "pods": [a_pod(died(75, "fetch", "StoreAnswerInvalid"))],
        },
        Postponed(Problem("StoreAnswerInvalid", "fetch: why", missing=True), END + timedelta(seconds=60)),
    ),
    "a trainer that says so is not believed": (
        {"job": a_job("Failed"), "pods": [a_pod(done("fetch"), died(65, "train", "DataNotFound"))]},
        Failed(Problem("DataNotFound", "train: why", permanent=True, own=True)),
    ),
    "too late, and a step has run": (
        {"job": a_job("Failed", "DeadlineExceeded"), "pods": [a_pod(died(75))]},
        Failed(Problem("DeadlineExceeded", LATE, permanent=True)),
    ),
    "too late, and a step had run": (
        {"job": a_job("Failed", "DeadlineExceeded"), "step_began": True},
        Failed(Problem("DeadlineExceeded", LATE, permanent=True)),
    ),
    "too late for want of a pod": (
        {"job": a_job("Failed", "DeadlineExceeded"), "refused": QUOTA},
        Postponed(Problem("QuotaExceeded", f"{LATE}; {QUOTA.message}"), END + timedelta(seconds=60)),
    ),
    "too late for what was seen earlier": (
        {"job": a_job("Failed", "DeadlineExceeded"), "start_problem": UNPULLABLE},
        Postponed(Problem("ImagePullFailed", f"{LATE}; {UNPULLABLE.message}"), END + timedelta(seconds=60)),
    ),
    "too late for what can never start": (
        {
            "job": a_job("Failed", "DeadlineExceeded"),
            "start_problem": Problem("InvalidImageName", "no", permanent=True),
        },
        Failed(Problem("DeadlineExceeded", f"{LATE}; no", permanent=True)),
    ),
    "too late, nobody knows why": (
        {"job": a_job("Failed", "DeadlineExceeded")},
        Postponed(
            Problem("DeadlineExceeded", f"{LATE}; none of its steps began"), END + timedelta(seconds=60)
        ),
    ),
}


@pytest.mark.parametrize(("given", "progress"), CASES.values(), ids=CASES)
def test_how_the_work_stands(given: dict[str, Any], progress: object) -> None:
    now = END + timedelta(seconds=given.pop("later", 0))
    work = Work(steps=("fetch", "train", "publish"), **{"job": None, **given})

    assert follow(work, now) == progress


@pytest.mark.parametrize(
    ("tried", "pause"), [(0, 10), (5, 10), (60, 60), (599, 599), (600, 600), (100_000, 600)]
)
def test_the_pause_grows_with_the_time_that_the_work_was_tried_for(tried: int, pause: int) -> None:
    job = a_job("Failed", "DeadlineExceeded")

    progress = follow(Work(("verify",), job, since=END - timedelta(seconds=tried)), END)

    assert isinstance(progress, Postponed)
    assert progress.retry_at == END + timedelta(seconds=pause)


@pytest.mark.parametrize(
    ("took", "step", "pause"),
    [
        (60, "publish", 120),
        (10_800, "publish", 21_600),
        (600_000, "publish", 86_400),
        (10_800, "fetch", 600),
    ],
)
def test_the_pause_grows_with_what_the_try_has_spent(took: int, step: str, pause: int) -> None:
    job = a_job("Failed", "PodFailurePolicy")
    job["status"]["startTime"] = to_timestamp(END - timedelta(seconds=took))
    done_before = [done("fetch"), done("train")] if step == "publish" else []
    pod = a_pod(*done_before, died(65, step, "AccessDenied"))

    seen = follow(Work(("fetch", "train", "publish"), job, [pod], since=END - timedelta(seconds=took)), END)
    remembered = Problem("AccessDenied", f"{step}: why")
    later = follow(
        Work(("fetch", "train", "publish"), job, since=END - timedelta(seconds=took), postponed=remembered),
        END,
    )

    for progress in (seen, later):
        assert isinstance(progress, Postponed)
        assert progress.retry_at == END + timedelta(seconds=pause)
