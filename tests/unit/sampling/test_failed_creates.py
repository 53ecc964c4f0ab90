"""Why a Job has no pod is read from its events, and told in words that stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from unit.given.questions import sampling, until
from unit.given.resources import TrainingJob, WithJob, a_training_job, a_version, a_world
from unit.given.world import World

from modelwright.common.facts import FAILED_CREATE
from modelwright.engine.errors import Unavailable
from modelwright.engine.events import EVENTS
from modelwright.engine.objects import Key, uid
from modelwright.sampling.failed_creates import FailedCreates, LastMessage, PodlessJob

QUOTA = 'Error creating: pods "{}" is forbidden: exceeded quota: small, used: pods=2, limited: pods=2'


class Eager(FailedCreates):
    """Asks in every round."""

    def every(self, target: str) -> float:
        return 0.0


@asynccontextmanager
async def operator(resource: WithJob) -> AsyncIterator[None]:
    source = Eager(resource.world.api)
    source.limits = replace(source.limits, every=0.01)
    async with sampling(source, resource.world):
        yield


def fact(resource: WithJob) -> Any:
    return resource.world.cache.fact(resource.key, FAILED_CREATE)


def event(
    resource: WithJob, message: str, name: str = "e", reason: str = "FailedCreate", **times: Any
) -> None:
    job = resource.world.api.objects[resource.job_key]
    about = {"kind": "Job", "name": resource.job_name, "uid": uid(job)}
    body = {"involvedObject": about, "reason": reason, "message": message, **times}
    resource.world.api.objects.pop(Key(EVENTS, resource.key.namespace, name), None)
    resource.world.api.put(Key(EVENTS, resource.key.namespace, name), body)


def a_run() -> TrainingJob:
    """A TrainingJob whose Job has been there for a while."""
    job = a_training_job(a_world()).settles()
    job.world.after(10)
    return job


@pytest.mark.parametrize("make", [a_training_job, a_version])
async def test_a_run_and_a_verification_without_a_pod_know_why(make: Callable[[World], WithJob]) -> None:
    resource = make(a_world()).settles()
    resource.world.after(10)
    event(resource, QUOTA.format(f"{resource.job_name}-x7k2p"))
    async with operator(resource):
        await until(lambda: fact(resource))
        assert fact(resource) == QUOTA.format(resource.job_name)
        resource.pod()
        await until(lambda: fact(resource) is None)


async def test_only_the_newest_event_of_that_reason_and_job_counts() -> None:
    job = a_run()
    event(job, "old", "a", lastTimestamp="2026-01-01T00:00:01Z")
    event(job, "new", "b", lastTimestamp=None, series={"lastObservedTime": "2026-01-01T00:00:05.000000Z"})
    event(job, "older", "c", lastTimestamp=None, eventTime="2026-01-01T00:00:02.000000Z")
    event(job, "another reason", "d", "SuccessfulCreate", lastTimestamp="2026-01-01T00:01:00Z")
    async with operator(job):
        await until(lambda: fact(job))
        assert fact(job) == "new"


async def test_events_that_hold_anything_hide_no_other() -> None:
    job = a_run()
    oddities: tuple[Any, ...] = (5, None, {}, [], "\x00\x1b", float("nan"))
    for number, odd in enumerate(oddities):
        event(job, odd, f"message-{number}", lastTimestamp="2026-01-01T00:00:01Z")
        event(job, "odd", f"time-{number}", lastTimestamp="2026-01-01T00:00:01Z", series=odd)
    event(job, "exceeded quota", "good", lastTimestamp="2026-01-01T00:00:09Z")
    async with operator(job):
        await until(lambda: fact(job))
        assert fact(job) == "exceeded quota"


async def test_a_young_job_one_that_has_ended_and_one_with_a_pod_are_not_asked_about() -> None:
    young, ended, running = a_training_job(a_world()).settles(), a_run(), a_run()
    ended.job_fails()
    running.pod()
    source = FailedCreates(young.world.api)
    for job in (young, ended, running):
        assert source.round(job.world.cache, job.job_key, job.world.now) is None
    young.world.after(4)
    assert source.round(young.world.cache, young.job_key, young.world.now) is not None


async def test_a_suspended_job_makes_no_pods_and_nobody_asks_why() -> None:
    job = a_run()
    job.world.edit(job.job_key, spec={"suspend": True})
    assert FailedCreates(job.world.api).round(job.world.cache, job.job_key, job.world.now) is None


async def test_an_api_server_that_does_not_answer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_run()
    event(job, "no room")

    async def silent(*_: Any, **__: Any) -> Any:
        raise Unavailable("no answer")

    async with operator(job):
        await until(lambda: fact(job))
        monkeypatch.setattr(job.world.api, "list", silent)
        await asyncio.sleep(0.1)
        assert fact(job) == "no room"


@pytest.mark.parametrize(
    ("messages", "kept"),
    [
        (["used: pods=2", "used: pods=3", "used: pods=12"], "used: pods=2"),
        (["used: pods=2", "LimitRange"], "LimitRange"),
        (["used: pods=2", None], "used: pods=2"),
        ([None], None),
    ],
)
def test_a_message_that_differs_in_numbers_only_is_the_same(
    messages: list[str | None], kept: str | None
) -> None:
    job = a_run()
    current = PodlessJob(job.key, job.job_key, "uid")
    answers = LastMessage()
    for message in messages:
        answers.add("uid", message, job.world.now)
    assert answers.fact(current, job.world.now) == kept
