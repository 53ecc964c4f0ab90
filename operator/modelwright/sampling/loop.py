"""The loop that samples facts which do not come from a watch, and stores them in the cache for planners.

A `Source` defines the targets to query, how often and within which limits. Every object has a task of its own, and so
has every query to one of its targets. A slow, broken or hostile target therefore does not delay other objects: they
share no round, and targets that have failed use separate semaphores. An error is counted, logged once, and stored as a
fact of its object.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from modelwright.common.facts import trouble
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, ResourceType

logger = logging.getLogger(__name__)

# Seconds between two searches for objects that have targets.
PULSE = 1.0
# How many seconds a round waits for answers before it stores the fact.
PATIENCE = 1.0
# A target that does not answer is queried less and less often. This is the longest pause in seconds, unless its normal
# one is longer.
LONGEST_PAUSE = 8.0
# A query may start at most so many seconds early.
MOST_SLACK = 0.1
REMEMBERED_CAUSES = 1000

T = TypeVar("T", bound=Hashable)
T_co = TypeVar("T_co", bound=Hashable, covariant=True)
T_contra = TypeVar("T_contra", bound=Hashable, contravariant=True)
A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)


@dataclass(frozen=True)
class Limits:
    """The limits of a source. Targets that answer and targets that do not have separate bounds of the same size."""

    # Seconds from one round of an object to the next.
    every: float
    # Seconds for one answer.
    timeout: float
    # Concurrent queries for one object, and for all.
    per_object: int
    in_all: int


@dataclass(frozen=True)
class Unanswered:
    """Why a target did not answer: a phrase for users that begins with "it", and is the same for the same cause."""

    why: str


class NoAnswer(Exception):  # noqa: N818 - not an error of the operator
    """Raised by a source if a target gives no answer, or no valid one. Its text becomes that of `Unanswered`."""


class Round(Protocol[T_co]):
    """The targets to query for one object now."""

    @property
    def about(self) -> Key:
        """The key of the object that the fact is stored under."""
        ...

    @property
    def subject(self) -> Hashable:
        """A value that changes when earlier answers no longer count."""
        ...

    @property
    def targets(self) -> Sequence[T_co]:
        """The targets to query."""
        ...


R = TypeVar("R", bound=Round[Any])
R_contra = TypeVar("R_contra", bound=Round[Any], contravariant=True)


class Answers(Protocol[R_contra, T_contra, A_contra]):
    """The answers for the subject of a round so far."""

    def add(self, target: T_contra, answer: A_contra | Unanswered, at: datetime) -> None:
        """Adds the answer to a query that was sent at that time."""
        ...

    def fact(self, current: R_contra, at: datetime) -> object:
        """Returns the fact for the current targets; None if there is none yet."""
        ...


class Source(ABC, Generic[R, T, A]):
    """Where a fact comes from: its targets, and how to query one."""

    fact: str
    # The kind whose objects have the targets.
    resource: ResourceType
    limits: Limits

    @abstractmethod
    def round(self, view: View, key: Key, now: datetime) -> R | None:
        """Returns the targets of this object; None if it has none. Pure, and cheap if there are none."""

    def candidates(self, view: View) -> Iterable[Key]:
        """The keys of the objects that may have targets, as an index has them; else of all objects of the kind."""
        return view.keys(self.resource)

    @abstractmethod
    async def ask(self, current: R, target: T, at: datetime) -> A:
        """Queries a target and returns its answer. The loop cancels it after the timeout."""

    @abstractmethod
    def answers(self, current: R) -> Answers[R, T, A]:
        """Returns empty answers for the subject of this round."""

    def pause(self, current: R) -> float:
        """Returns the seconds from this round of an object to the next."""
        return self.limits.every

    def every(self, target: T) -> float:
        """Returns the seconds between two queries to a target that answers."""
        return self.limits.every


class Facts(View, Protocol):
    """The part of the cache that the loop uses."""

    def note(self, key: Key, source: str, found: object) -> bool:
        """Stores a fact about an object; None removes it."""
        ...

    def noted(self, source: str) -> list[Key]:
        """Returns the keys of the objects that have this fact."""
        ...


def _count_nothing(fact: str, outcome: str) -> None:
    """Ignores the outcome of a query."""


@dataclass(frozen=True)
class Context:
    """What the loop uses of the operator: cache, leadership, metrics and clocks."""

    facts: Facts
    leads: Callable[[], bool]
    count: Callable[[str, str], None] = _count_nothing
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Loop:
    """Samples all sources while this process leads. Runs until it is cancelled."""

    def __init__(self, sources: Iterable[Source[Any, Any, Any]], context: Context) -> None:
        self._samplers = [_SourceSampler(source, context) for source in sources]
        self._context = context

    async def run(self) -> None:
        """Runs until it is cancelled. Facts of an earlier loop are removed and sampled again."""
        for sampler in self._samplers:
            sampler.clear()
        try:
            while True:
                if self._context.leads():
                    for sampler in self._samplers:
                        sampler.start()
                await asyncio.sleep(PULSE)
        finally:
            await _end(task for sampler in self._samplers for task in sampler.tasks)


class _SourceSampler(Generic[R, T, A]):
    """Samples one source: holds the task of each object, the semaphores for queries, and the errors so far."""

    def __init__(self, source: Source[R, T, A], context: Context) -> None:
        self.source, self.context = source, context
        self.prompt, self.slow = (asyncio.Semaphore(source.limits.in_all) for _ in range(2))
        self._following: dict[Key, asyncio.Task[None]] = {}
        self._troubled: set[Key] = set()
        self._causes: OrderedDict[tuple[str, str], None] = OrderedDict()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The task of each object that is followed."""
        return list(self._following.values())

    def clear(self) -> None:
        """Removes the facts of all objects."""
        for fact in (self.source.fact, trouble(self.source.fact)):
            for key in self.context.facts.noted(fact):
                self.context.facts.note(key, fact, None)

    def start(self) -> None:
        """Starts to follow every object that has targets and is not followed yet."""
        troubled = (key for key in self._troubled if key.resource == self.source.resource)
        for key in {*self.source.candidates(self.context.facts), *troubled}:
            if key not in self._following and self.round(key) is not None:
                task = asyncio.create_task(
                    _ObjectSampler(self, key).follow(), name=f"{self.source.fact} {key}"
                )
                self._following[key] = task
                task.add_done_callback(partial(self._left, key))

    def _left(self, key: Key, _: asyncio.Task[None]) -> None:
        self._following.pop(key, None)

    def round(self, key: Key) -> R | None:
        """Returns the targets of an object; None if it has none, or if the source fails on it."""
        try:
            current = self.source.round(self.context.facts, key, self.context.now())
        except Exception as error:  # noqa: BLE001 - a malformed object must not block the others
            self.trouble(key, key, error)
            return None
        if current is None and key in self._troubled:
            self.recovered(key)
        return current

    def trouble(self, key: Key, about: Key, error: Exception) -> None:
        """Stores an error of the operator as a fact of the object."""
        self.failed(key, error)
        self._troubled.add(about)
        why = f"the operator failed with {type(error).__name__}, see its log"
        self.context.facts.note(about, trouble(self.source.fact), why)

    def recovered(self, about: Key) -> None:
        """Removes the error of an object."""
        self._troubled.discard(about)
        self.context.facts.note(about, trouble(self.source.fact), None)

    def failed(self, key: Key, error: Exception) -> None:
        """Counts an error of the operator, and logs it if it is new."""
        self.context.count(self.source.fact, "failed")
        cause = type(error).__name__, _place(error)
        if cause not in self._causes:
            logger.error("%s: finding out its %s failed", key, self.source.fact, exc_info=error)
        self._causes[cause] = None
        while len(self._causes) > REMEMBERED_CAUSES:
            self._causes.popitem(last=False)


class _ObjectSampler(Generic[R, T, A]):
    """Samples one object, round after round, as long as it has targets."""

    def __init__(self, sampler: _SourceSampler[R, T, A], key: Key) -> None:
        self._sampler, self._key = sampler, key
        self._source, self._context = sampler.source, sampler.context
        limit = sampler.source.limits.per_object
        self._prompt, self._slow = asyncio.Semaphore(limit), asyncio.Semaphore(limit)
        self._subject: Hashable = object()
        self._answers: Answers[R, T, A] | None = None
        self._last_query: dict[T, float] = {}
        self._failures: dict[T, int] = {}
        self._running: dict[T, asyncio.Task[None]] = {}
        self._succeeded = True
        # Rounds do not start exactly on time. Without slack, targets would not be due yet in every other round.
        self._slack = min(MOST_SLACK, sampler.source.limits.every / 10)

    async def follow(self) -> None:
        """Samples until the object has no targets; then removes the fact."""
        about = None
        try:
            while self._context.leads() and (current := self._sampler.round(self._key)) is not None:
                about, began, self._succeeded = current.about, self._context.clock(), True
                try:
                    await self._run_round(current)
                except Exception as error:  # noqa: BLE001 - the next round may succeed
                    self._trouble(current, error)
                if self._succeeded:
                    self._sampler.recovered(current.about)
                spent = self._context.clock() - began
                await asyncio.sleep(max(0.0, self._source.pause(current) - max(0.0, spent)))
            if about is not None:
                self._context.facts.note(about, self._source.fact, None)
                self._sampler.recovered(about)
        finally:
            for task in self._running.values():
                task.cancel()

    async def _run_round(self, current: R) -> None:
        """Queries the targets that are due, waits up to PATIENCE for answers, and stores the fact."""
        answers = self._answers_for(current)
        for target in current.targets:
            if self._is_due(target):
                self._last_query[target] = self._context.clock()
                task = asyncio.create_task(self._ask(current, target, answers))
                self._running[target] = task
                task.add_done_callback(partial(self._done, target))
        # Does not wait for targets whose last query failed.
        if expected := [task for target, task in self._running.items() if target not in self._failures]:
            await asyncio.wait(expected, timeout=PATIENCE)
        self._context.facts.note(current.about, self._source.fact, answers.fact(current, self._context.now()))

    def _answers_for(self, current: R) -> Answers[R, T, A]:
        """Returns the answers for the round's subject.

        Cancels queries for an earlier subject, and forgets targets that no longer exist.
        """
        if self._answers is None or current.subject != self._subject:
            self._subject, self._answers = current.subject, self._source.answers(current)
            self._last_query.clear()
            self._failures.clear()
        kept = set(current.targets) if self._last_query else set()  # empty if the subject is new
        for target in [target for target in self._running if target not in kept]:
            self._running.pop(target).cancel()
        for target in [target for target in self._last_query if target not in kept]:
            del self._last_query[target]
            self._failures.pop(target, None)
        return self._answers

    def _is_due(self, target: T) -> bool:
        if target in self._running:
            return False
        last, every = self._last_query.get(target), self._source.every(target)
        pause = min(every * 2.0 ** min(self._failures.get(target, 0), 10), max(every, LONGEST_PAUSE))
        return last is None or self._context.clock() - last + self._slack >= pause

    async def _ask(self, current: R, target: T, answers: Answers[R, T, A]) -> None:
        is_slow = target in self._failures
        own, common = (self._slow, self._sampler.slow) if is_slow else (self._prompt, self._sampler.prompt)
        async with own, common:
            at = self._context.now()
            answer = await self._answer(current, target, at)
        if isinstance(answer, Unanswered):
            self._failures[target] = self._failures.get(target, 0) + 1
        else:
            self._failures.pop(target, None)
        self._context.count(self._source.fact, "unanswered" if isinstance(answer, Unanswered) else "answered")
        try:
            answers.add(target, answer, at)
        except Exception as error:  # noqa: BLE001 - the next answer may be valid
            self._trouble(current, error)

    async def _answer(self, current: R, target: T, at: datetime) -> A | Unanswered:
        seconds = self._source.limits.timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._source.ask(current, target, at)
        except NoAnswer as error:
            return Unanswered(str(error))
        except TimeoutError:
            return Unanswered(f"it does not answer within {seconds:g} seconds")
        except Exception as error:  # noqa: BLE001 - no answer of a target may end the loop
            self._sampler.failed(self._key, error)
            return Unanswered(f"the operator failed with {type(error).__name__}, see its log")

    def _trouble(self, current: R, error: Exception) -> None:
        self._succeeded = False
        self._sampler.trouble(self._key, current.about, error)

    def _done(self, target: T, task: asyncio.Task[None]) -> None:
        if self._running.get(target) is task:
            del self._running[target]


def _place(error: BaseException) -> str:
    """The file and line where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    pending = list(tasks)
    for task in pending:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*pending, return_exceptions=True)
