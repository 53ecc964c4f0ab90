"""Reads Events for the reason why a Job has no pod: the Job's controller reports it nowhere else.

A quota, a LimitRange, an admission policy or Pod Security can accept a Job and refuse its pods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from modelwright.common.conditions import true_condition
from modelwright.common.facts import FAILED_CREATE
from modelwright.common.indexes import JOBS_AT_WORK, YES
from modelwright.common.reading import read_each
from modelwright.common.resources import (
    JOBS,
    MODEL_VERSIONS,
    TRAINING_JOBS,
    pods_of_job,
)
from modelwright.common.times import from_timestamp
from modelwright.engine.api import Api
from modelwright.engine.cache import View
from modelwright.engine.errors import ApiError
from modelwright.engine.events import EVENTS
from modelwright.engine.objects import Body, Key, controller, created, deleting, name, uid
from modelwright.sampling.loop import Answers, Limits, NoAnswer, Source, Unanswered

# The Job's controller needs a moment to create a pod, and the watch to show it.
WITHOUT_PODS = timedelta(seconds=3)
MESSAGE_LENGTH = 1024
OWNERS = {owner.kind: owner for owner in (TRAINING_JOBS, MODEL_VERSIONS)}
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class PodlessJob:
    """A Job that has no pod, and the object that it works for."""

    about: Key
    job: Key
    uid: str

    @property
    def subject(self) -> str:
        """The uid of the Job: messages about another Job do not count."""
        return self.uid

    @property
    def targets(self) -> tuple[str, ...]:
        """The uid of the Job, whose events are read."""
        return (self.uid,)


class FailedCreates(Source[PodlessJob, str, str | None]):
    """The source of FAILED_CREATE: why Jobs have no pods."""

    fact = FAILED_CREATE
    resource = JOBS
    limits = Limits(every=5.0, timeout=5.0, per_object=1, in_all=8)

    def __init__(self, api: Api) -> None:
        self._api = api

    def candidates(self, view: View) -> Iterable[Key]:
        """Jobs that may still get pods."""
        return view.indexed_keys(JOBS_AT_WORK, YES)

    def round(self, view: View, key: Key, now: datetime) -> PodlessJob | None:
        """The Job, if it has had no pod for WITHOUT_PODS."""
        job = view.get(key)
        if job is None or _is_idle(job):
            return None
        owner = _owner(view, key, job)
        if owner is None or now < from_timestamp(created(job)) + WITHOUT_PODS:
            return None
        about, body = owner
        if not _is_current(about, body, job) or pods_of_job(view, body, job):
            return None
        return PodlessJob(about, key, uid(job))

    async def ask(self, current: PodlessJob, target: str, at: datetime) -> str | None:
        """The message of the newest event; None if there is none."""
        fields = f"involvedObject.uid={target},reason=FailedCreate"
        try:
            events = await self._api.list(EVENTS, current.job.namespace, fields=fields)
        except ApiError as error:
            raise NoAnswer(str(error)) from error
        messages = (dated for _, dated in read_each(events.items, partial(_dated_message, current.job.name)))
        return max(messages, default=("", None))[1]

    def answers(self, current: PodlessJob) -> Answers[PodlessJob, str, str | None]:
        """No messages yet."""
        return LastMessage()


class LastMessage:
    """Keeps the newest message. One that differs in digits only, such as the used part of a quota, is the same."""

    def __init__(self) -> None:
        self._message: str | None = None

    def add(self, target: str, answer: str | Unanswered | None, at: datetime) -> None:
        """Keeps the message, unless it is the same as the one before, or there is none."""
        if isinstance(answer, Unanswered) or answer is None:
            return
        if self._message is None or _DIGITS.sub("0", answer) != _DIGITS.sub("0", self._message):
            self._message = answer

    def fact(self, current: PodlessJob, at: datetime) -> str | None:
        """The message; None if there is none."""
        return self._message


def _is_idle(job: Body) -> bool:
    """True if the Job gets no more pods: it has ended, is suspended or is being deleted."""
    ended = true_condition(job, "Complete") or true_condition(job, "Failed")
    return bool(ended or job["spec"].get("suspend") or deleting(job))


def _owner(view: View, key: Key, job: Body) -> tuple[Key, Body] | None:
    """The key and body of the object that controls the Job; None if it does not exist."""
    reference = controller(job) or {}
    resource = OWNERS.get(reference.get("kind", ""))
    if resource is None:
        return None
    owner = Key(resource, key.namespace, reference["name"])
    body = view.get(owner)
    return None if body is None or uid(body) != reference.get("uid") else (owner, body)


def _is_current(about: Key, owner: Body, job: Body) -> bool:
    """True if the owner waits for this Job. A TrainingJob may also have Jobs of earlier runs."""
    run = (owner.get("status") or {}).get("run") or {}
    return about.resource != TRAINING_JOBS or run.get("job") == name(job)


def _dated_message(job: str, event: Body) -> tuple[str, str | None]:
    """The time and the message of an event."""
    return _time(event), _message(event, job)


def _time(event: Body) -> str:
    """The time of the last occurrence, as text that sorts by time. Its field depends on the author of the event."""
    series: Body = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return max(str(time or "") for time in times) or created(event)


def _message(event: Body, job: str) -> str:
    """The message on one line, without the random suffix of names of refused pods."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(event.get("message") or ""))
    return re.sub(rf"{re.escape(job)}-[a-z0-9]{{5}}\b", job, " ".join(text.split()))[:MESSAGE_LENGTH]
