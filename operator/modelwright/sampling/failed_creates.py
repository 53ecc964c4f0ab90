"""Asks the API server why a Job has no pod: the Job's controller says so in Events only.

A quota, a LimitRange, an admission policy or Pod Security lets the Job in and refuses its pods.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from modelwright.common.conditions import standing
from modelwright.common.facts import FAILED_CREATE
from modelwright.common.reading import each
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
from modelwright.sampling.loop import Book, Limits, NoAnswer, Source, Unanswered

# The Job's controller takes a moment, and so does its watch.
WITHOUT_PODS = timedelta(seconds=3)
MESSAGE_LENGTH = 1024
OWNERS = {owner.kind: owner for owner in (TRAINING_JOBS, MODEL_VERSIONS)}
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class PodlessJob:
    """A Job that runs without a pod, and the object that it works for."""

    about: Key
    job: Key
    uid: str

    @property
    def subject(self) -> str:
        """What was said about another Job does not count."""
        return self.uid

    @property
    def targets(self) -> tuple[str, ...]:
        """The Job's own uid: its events are asked for."""
        return (self.uid,)


class FailedCreates(Source[PodlessJob, str, str | None]):
    """Why Jobs have no pods."""

    fact = FAILED_CREATE
    resource = JOBS
    limits = Limits(every=5.0, timeout=5.0, per_object=1, in_all=8)

    def __init__(self, api: Api) -> None:
        self._api = api

    def round(self, view: View, key: Key, now: datetime) -> PodlessJob | None:
        """A Job that has been without a pod for a while."""
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

    async def ask(self, now: PodlessJob, target: str, at: datetime) -> str | None:
        """The newest message."""
        fields = f"involvedObject.uid={target},reason=FailedCreate"
        try:
            found = await self._api.list(EVENTS, now.job.namespace, fields=fields)
        except ApiError as error:
            raise NoAnswer(str(error)) from error
        said = (when_and_what for _, when_and_what in each(found.items, partial(_said, now.job.name)))
        return max(said, default=("", None))[1]

    def book(self, now: PodlessJob) -> Book[PodlessJob, str, str | None]:
        """Nothing yet about a Job."""
        return LastMessage()


class LastMessage:
    """What is kept of the messages. One that only differs in digits, as in how much of a quota is used, is no news."""

    def __init__(self) -> None:
        self._message: str | None = None

    def take(self, target: str, answer: str | Unanswered | None, at: datetime) -> None:
        """Keeps the message, unless it says the same as the one before. No answer changes nothing."""
        if isinstance(answer, Unanswered) or answer is None:
            return
        if self._message is None or _DIGITS.sub("0", answer) != _DIGITS.sub("0", self._message):
            self._message = answer

    def found(self, now: PodlessJob, at: datetime) -> str | None:
        """The message; None if there is none."""
        return self._message


def _is_idle(job: Body) -> bool:
    """Whether nobody makes pods for it: it has ended, is suspended or on its way out."""
    ended = standing(job, "Complete") or standing(job, "Failed")
    return bool(ended or job["spec"].get("suspend") or deleting(job))


def _owner(view: View, key: Key, job: Body) -> tuple[Key, Body] | None:
    """The object that the Job works for."""
    reference = controller(job) or {}
    resource = OWNERS.get(reference.get("kind", ""))
    if resource is None:
        return None
    owner = Key(resource, key.namespace, reference["name"])
    body = view.get(owner)
    return None if body is None or uid(body) != reference.get("uid") else (owner, body)


def _is_current(about: Key, owner: Body, job: Body) -> bool:
    """Whether the owner waits for this Job: a TrainingJob may have one of an earlier run."""
    run = (owner.get("status") or {}).get("run") or {}
    return about.resource != TRAINING_JOBS or run.get("job") == name(job)


def _said(job: str, event: Body) -> tuple[str, str | None]:
    """When an event happened last, and its message."""
    return _time(event), _message(event, job)


def _time(event: Body) -> str:
    """When it happened last, in a form that orders as text. Which of the fields is filled depends on its author."""
    series: Body = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return max(str(time or "") for time in times) or created(event)


def _message(event: Body, job: str) -> str:
    """What it says, on one line, without the random part of the names of pods that were not made."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(event.get("message") or ""))
    return re.sub(rf"{re.escape(job)}-[a-z0-9]{{5}}\b", job, " ".join(text.split()))[:MESSAGE_LENGTH]
