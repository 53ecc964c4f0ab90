"""The one loop that asks for what no watch tells. Sources say whom to ask; the facts lie in the cache for planners.

Every object has a task of its own, and every question to one of its targets another. So a target that is slow, broken
or hostile costs nobody else anything: objects share no round, what takes long waits in a line of its own, and whatever
goes wrong with one object is counted, logged once, and noted as a fact about that object.
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

# Between two searches for objects that have something to ask.
PULSE = 1.0
# How long a round waits for answers before it notes those that it has.
PATIENCE = 1.0
# A target that does not answer is asked less and less often, but at least this often, unless it is asked less anyway.
LONGEST_PAUSE = 8.0
# So many seconds too early count as in time.
MOST_SLACK = 0.1
REMEMBERED_CAUSES = 1000

T = TypeVar("T", bound=Hashable)
T_co = TypeVar("T_co", bound=Hashable, covariant=True)
T_contra = TypeVar("T_contra", bound=Hashable, contravariant=True)
A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)


@dataclass(frozen=True)
class Limits:
    """How a source may ask. The bounds hold once for targets that answer and once for those that do not."""

    # Seconds from one round of an object to the next.
    every: float
    # Seconds for one answer.
    timeout: float
    # Questions under way for one object, and for all.
    per_object: int
    in_all: int


@dataclass(frozen=True)
class Unanswered:
    """Why a target gave no answer: a phrase for users that begins with "it", the same each time for the same cause."""

    why: str


class NoAnswer(Exception):  # noqa: N818 - what a target does is no error of ours
    """Raised by a source: a target gave no answer, or none that can be believed. Its text is that of `Unanswered`."""


class Round(Protocol[T_co]):
    """What is to be asked about one object now."""

    @property
    def about(self) -> Key:
        """The object under whose key the fact lies."""
        ...

    @property
    def subject(self) -> Hashable:
        """Changes when nothing that was found out so far counts any more."""
        ...

    @property
    def targets(self) -> Sequence[T_co]:
        """Whom to ask."""
        ...


R = TypeVar("R", bound=Round[Any])
R_contra = TypeVar("R_contra", bound=Round[Any], contravariant=True)


class Book(Protocol[R_contra, T_contra, A_contra]):
    """What has been found out so far about the subject of a round."""

    def take(self, target: T_contra, answer: A_contra | Unanswered, at: datetime) -> None:
        """Takes in what a target answered that was asked then."""
        ...

    def found(self, now: R_contra, at: datetime) -> object:
        """The fact, for the targets that there are now; None if there is none yet."""
        ...


class Source(ABC, Generic[R, T, A]):
    """Where a fact comes from."""

    fact: str
    # The kind whose objects are gone through to find out whom to ask.
    resource: ResourceType
    limits: Limits

    @abstractmethod
    def round(self, view: View, key: Key, now: datetime) -> R | None:
        """What is to be asked because of this object; None if nothing. Pure, and cheap where it is nothing."""

    @abstractmethod
    async def ask(self, now: R, target: T, at: datetime) -> A:
        """One answer. The loop ends what takes too long."""

    @abstractmethod
    def book(self, now: R) -> Book[R, T, A]:
        """An empty book about the subject of this round."""

    def every(self, target: T) -> float:
        """Seconds between two questions to a target that answers."""
        return self.limits.every


class Facts(View, Protocol):
    """The cache, as far as the loop needs it."""

    def note(self, key: Key, source: str, found: object) -> bool:
        """Takes in what was found out about an object; None forgets it."""
        ...

    def noted(self, source: str) -> list[Key]:
        """The keys of the objects that something was found out about."""
        ...


def _count_nothing(fact: str, outcome: str) -> None:
    """Counts nothing."""


@dataclass(frozen=True)
class Surroundings:
    """What the loop works with."""

    facts: Facts
    leads: Callable[[], bool]
    count: Callable[[str, str], None] = _count_nothing
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Loop:
    """Asks for all sources, while this process leads. Only its cancellation ends it."""

    def __init__(self, sources: Iterable[Source[Any, Any, Any]], surroundings: Surroundings) -> None:
        self._desks = [_Desk(source, surroundings) for source in sources]
        self._around = surroundings

    async def run(self) -> None:
        """Until it is cancelled. What an earlier loop has noted is forgotten: it is found out again."""
        for desk in self._desks:
            desk.clear()
        try:
            while True:
                if self._around.leads():
                    for desk in self._desks:
                        desk.open()
                await asyncio.sleep(PULSE)
        finally:
            await _end(task for desk in self._desks for task in desk.tasks)


class _Desk(Generic[R, T, A]):
    """One source: which of its objects are followed, the lines that questions wait in, and what went wrong."""

    def __init__(self, source: Source[R, T, A], around: Surroundings) -> None:
        self.source, self.around = source, around
        self.prompt, self.slow = (asyncio.Semaphore(source.limits.in_all) for _ in range(2))
        self._following: dict[Key, asyncio.Task[None]] = {}
        self._troubled: set[Key] = set()
        self._causes: OrderedDict[tuple[str, str], None] = OrderedDict()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """One for each object that is followed."""
        return list(self._following.values())

    def clear(self) -> None:
        """Forgets what is known of every object."""
        for fact in (self.source.fact, trouble(self.source.fact)):
            for key in self.around.facts.noted(fact):
                self.around.facts.note(key, fact, None)

    def open(self) -> None:
        """Begins to follow every object that has something to ask and is not followed yet."""
        for key in list(self.around.facts.keys(self.source.resource)):
            if key not in self._following and self.round(key) is not None:
                task = asyncio.create_task(_Object(self, key).follow(), name=f"{self.source.fact} {key}")
                self._following[key] = task
                task.add_done_callback(partial(self._left, key))

    def _left(self, key: Key, _: asyncio.Task[None]) -> None:
        self._following.pop(key, None)

    def round(self, key: Key) -> R | None:
        """What is to be asked because of an object: nothing if it trips the source."""
        try:
            found = self.source.round(self.around.facts, key, self.around.now())
        except Exception as error:  # noqa: BLE001 - one odd object must not keep the others from being asked about
            self.trouble(key, key, error)
            return None
        if found is None and key in self._troubled:
            self.well(key)
        return found

    def trouble(self, key: Key, about: Key, error: Exception) -> None:
        """An error of ours becomes a fact about the object."""
        self.failed(key, error)
        self._troubled.add(about)
        why = f"the operator failed with {type(error).__name__}, see its log"
        self.around.facts.note(about, trouble(self.source.fact), why)

    def well(self, about: Key) -> None:
        """The object went well again."""
        self._troubled.discard(about)
        self.around.facts.note(about, trouble(self.source.fact), None)

    def failed(self, key: Key, error: Exception) -> None:
        """Counts an error of ours, and logs it if it is a new one."""
        self.around.count(self.source.fact, "failed")
        cause = type(error).__name__, _place(error)
        if cause not in self._causes:
            logger.error("%s: finding out its %s failed", key, self.source.fact, exc_info=error)
        self._causes[cause] = None
        while len(self._causes) > REMEMBERED_CAUSES:
            self._causes.popitem(last=False)


class _Object(Generic[R, T, A]):
    """One object that is followed: round after round, until there is nothing more to ask about it."""

    def __init__(self, desk: _Desk[R, T, A], key: Key) -> None:
        self._desk, self._key = desk, key
        self._source, self._around = desk.source, desk.around
        each = desk.source.limits.per_object
        self._prompt, self._slow = asyncio.Semaphore(each), asyncio.Semaphore(each)
        self._subject: Hashable = object()
        self._book: Book[R, T, A] | None = None
        self._asked: dict[T, float] = {}
        self._failures: dict[T, int] = {}
        self._busy: dict[T, asyncio.Task[None]] = {}
        self._is_well = True
        # Rounds do not begin to the millisecond: without it every other one would find its targets not due yet.
        self._slack = min(MOST_SLACK, desk.source.limits.every / 10)

    async def follow(self) -> None:
        """Ends when nothing is to be asked any more, and with it what was found out."""
        about = None
        try:
            while self._around.leads() and (now := self._desk.round(self._key)) is not None:
                about, began, self._is_well = now.about, self._around.clock(), True
                try:
                    await self._go_round(now)
                except Exception as error:  # noqa: BLE001 - the next round may go well
                    self._trouble(now, error)
                if self._is_well:
                    self._desk.well(now.about)
                spent = self._around.clock() - began
                await asyncio.sleep(max(0.0, self._source.limits.every - max(0.0, spent)))
            if about is not None:
                self._around.facts.note(about, self._source.fact, None)
                self._desk.well(about)
        finally:
            for task in self._busy.values():
                task.cancel()

    async def _go_round(self, now: R) -> None:
        """Asks who has to be asked, waits a moment for answers, and notes what is known then."""
        book = self._opened(now)
        for target in now.targets:
            if self._is_due(target):
                self._asked[target] = self._around.clock()
                task = asyncio.create_task(self._ask(now, target, book))
                self._busy[target] = task
                task.add_done_callback(partial(self._done, target))
        # Those that have not answered before are not waited for.
        if expected := [task for target, task in self._busy.items() if target not in self._failures]:
            await asyncio.wait(expected, timeout=PATIENCE)
        self._around.facts.note(now.about, self._source.fact, book.found(now, self._around.now()))

    def _opened(self, now: R) -> Book[R, T, A]:
        """The book of the round's subject. What is under way for another one is broken off; targets that are gone
        are forgotten."""
        if self._book is None or now.subject != self._subject:
            self._subject, self._book = now.subject, self._source.book(now)
            self._asked.clear()
            self._failures.clear()
        kept = set(now.targets) if self._asked else set()  # none, where the subject is new
        for target in [target for target in self._busy if target not in kept]:
            self._busy.pop(target).cancel()
        for target in [target for target in self._asked if target not in kept]:
            del self._asked[target]
            self._failures.pop(target, None)
        return self._book

    def _is_due(self, target: T) -> bool:
        if target in self._busy:
            return False
        asked, every = self._asked.get(target), self._source.every(target)
        pause = min(every * 2.0 ** min(self._failures.get(target, 0), 10), max(every, LONGEST_PAUSE))
        return asked is None or self._around.clock() - asked + self._slack >= pause

    async def _ask(self, now: R, target: T, book: Book[R, T, A]) -> None:
        is_slow = target in self._failures
        own, common = (self._slow, self._desk.slow) if is_slow else (self._prompt, self._desk.prompt)
        async with own, common:
            at = self._around.now()
            answer = await self._answer(now, target, at)
        if isinstance(answer, Unanswered):
            self._failures[target] = self._failures.get(target, 0) + 1
        else:
            self._failures.pop(target, None)
        self._around.count(self._source.fact, "unanswered" if isinstance(answer, Unanswered) else "answered")
        try:
            book.take(target, answer, at)
        except Exception as error:  # noqa: BLE001 - the next answer may go well
            self._trouble(now, error)

    async def _answer(self, now: R, target: T, at: datetime) -> A | Unanswered:
        seconds = self._source.limits.timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._source.ask(now, target, at)
        except NoAnswer as error:
            return Unanswered(str(error))
        except TimeoutError:
            return Unanswered(f"it does not answer within {seconds:g} seconds")
        except Exception as error:  # noqa: BLE001 - whatever a target sends, it is no more than no answer
            self._desk.failed(self._key, error)
            return Unanswered(f"the operator failed with {type(error).__name__}, see its log")

    def _trouble(self, now: R, error: Exception) -> None:
        self._is_well = False
        self._desk.trouble(self._key, now.about, error)

    def _done(self, target: T, task: asyncio.Task[None]) -> None:
        if self._busy.get(target) is task:
            del self._busy[target]


def _place(error: BaseException) -> str:
    """Where an error was raised."""
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
