"""Runs what has arrived in one turn of the event loop with as few runs of the model as possible.

It delays nothing: whatever was readable when the turn began is grouped. What would hold up the event loop goes to the
worker - long runs, large requests, large answers - and what arrives meanwhile is grouped for its next run. Knows no
protocol: a ticket decodes its own request and encodes its own answer. One bad request never touches its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import NamedTuple, TypeGuard

from modelwright_serving.fair import in_turns
from modelwright_serving.limits import FEEDBACK, LARGE, QUEUE_REQUESTS, QUEUE_SECONDS, RUN_SECONDS
from modelwright_serving.memory import REFUSAL, Account
from modelwright_serving.metrics import Metrics
from modelwright_serving.model import LoadedModel
from modelwright_serving.oip.errors import CostlyError, OipError, Problem
from modelwright_serving.runs import Delivery, Job, Outcome, Runs, Ticket, Unwatched, Watching, Work, rows_of
from modelwright_serving.runtime import Stop
from modelwright_serving.worker import Worker

MAX_REQUESTS_PER_TURN = 128
# Of one turn's decoding; the rest of what has arrived is left to the next turn.
_TURN_SECONDS = 0.01
_LOOK = 8  # requests between two looks at the clock
_SWEEP_SECONDS = 0.25
# That a run has to end once it is asked to: one that obeys is not stuck.
_ENDING_SECONDS = 1.0
# Requests share a run only as far as it is expected to end within this part of its limit.
_SHARE = 0.25

_UNWATCHED = Unwatched()
_BUSY = Problem.UNAVAILABLE
_FULL = "too many requests are waiting; try again shortly"
_LATE = "the request waited longer than {:g} s for its run; try again shortly"


@dataclass(frozen=True)
class Bounds:
    """How many requests may wait, and for how long; how long a run may take. Times in seconds."""

    requests: int = QUEUE_REQUESTS
    seconds: float = QUEUE_SECONDS
    run_seconds: float = RUN_SECONDS


class _Unread(NamedTuple):
    """A request that the worker has to decode."""

    ticket: Ticket


class Executor:
    """The queue between the transports and the model; `changed` is called when `stuck` may have changed."""

    def __init__(
        self,
        model: LoadedModel,
        worker: Worker[Work],
        loop: asyncio.AbstractEventLoop,
        metrics: Metrics,
        bounds: Bounds,
        changed: Callable[[], None],
        watching: Watching = _UNWATCHED,
    ) -> None:
        self._runs = Runs(model, watching)
        self._watching = watching
        self._predicted = metrics.predicted
        self._pace = model.pace
        self._worker = worker
        self._loop = loop
        self._metrics = metrics
        self._bounds = bounds
        self._changed = changed
        self._waiting: dict[Ticket, None] = {}
        self._slow: dict[Ticket, Job | _Unread] = {}
        self._places: Counter[Account] | None = None  # of each address, while the queue is full
        self._served: dict[Account, int] = {}  # by how many runs of the worker before, since it was idle
        self._running: dict[Ticket, None] = {}  # on the worker, and still wanted
        self._stop = Stop()
        self._scheduled = False
        self._sweeping = False
        self._was_stuck = False
        self._most_rows = min(model.sharing.most_rows, model.pace.rows_within(_SHARE * bounds.run_seconds))

    def __len__(self) -> int:
        return len(self._waiting) + len(self._slow)

    def busy_seconds(self) -> float:
        """How long the worker has been at its present run."""
        return self._worker.busy_seconds()

    @property
    def stuck(self) -> bool:
        """Whether a run takes longer than requests wait for one."""
        return self._worker.busy_seconds() > self._bounds.seconds + _ENDING_SECONDS

    def submit(self, ticket: Ticket) -> None:
        """Take a ticket; it is answered in a later turn, or refused at once when the queue is full."""
        if len(self._waiting) + len(self._slow) >= self._bounds.requests and not self._gives_way(ticket):
            self._fail(ticket, OipError(_FULL, _BUSY, "QueueFull"))
            return
        self._waiting[ticket] = None
        if not self._scheduled:
            self._schedule()

    def _gives_way(self, ticket: Ticket) -> bool:
        """Whether the newest request of the address with the most has left the full queue for this one."""
        places = self._places
        if places is None:
            places = self._places = Counter([other.account for other in (*self._waiting, *self._slow)])
        most = max(places.values())
        if places[ticket.account] + 1 >= most:
            return False
        for queue in (self._waiting, self._slow):
            for other in reversed(queue):
                if places[other.account] == most:
                    del queue[other]
                    places[other.account] -= 1
                    places[ticket.account] += 1
                    self._fail(other, OipError(_FULL, _BUSY, "QueueFull"))
                    return True
        return False

    def abandon(self, ticket: Ticket) -> None:
        """The caller has gone: its place in the queue is free, and a run that is only for it ends."""
        if ticket in self._waiting:
            del self._waiting[ticket]
        elif ticket in self._slow:
            del self._slow[ticket]
        elif ticket in self._running:
            del self._running[ticket]
            if not self._running:
                self._stop.set()

    # --- on the event loop -------------------------------------------------------------------

    def _schedule(self) -> None:
        self._scheduled = True
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Decode and run a bounded share of the queue, then give the event loop its turn."""
        self._scheduled = False
        tickets = self._next()
        try:
            with _all_answered(tickets):
                started = perf_counter()
                jobs = self._decode(tickets, started)
                self._metrics.decoding += perf_counter() - started
                for group in self._grouped(jobs):
                    self._run(group, started)
        finally:
            if self._waiting and not self._scheduled:
                self._schedule()
            self._feed_worker()

    def _next(self) -> list[Ticket]:
        waiting = self._waiting
        self._places = None
        if len(waiting) <= MAX_REQUESTS_PER_TURN:
            tickets = list(waiting)
            waiting.clear()
            return tickets
        tickets = in_turns(waiting, _account, MAX_REQUESTS_PER_TURN)
        for ticket in tickets:
            del waiting[ticket]
        return tickets

    def _decode(self, tickets: list[Ticket], started: float) -> list[Job]:
        """The requests as jobs; tickets that there is no time for go back to the head of the queue."""
        jobs: list[Job] = []
        for index, ticket in enumerate(tickets, 1):
            if ticket.settled:
                continue
            try:
                job = self._runs.job(ticket, ticket.decode(at_once=True))
                if job.request.tokens and job.rows > FEEDBACK.tokens_at_once:
                    self._slow[ticket] = job
                else:
                    jobs.append(job)
            except CostlyError:
                self._slow[ticket] = _Unread(ticket)
            except OipError as error:
                self._fail(ticket, error)
            if not index % _LOOK and perf_counter() - started > _TURN_SECONDS:
                self._waiting = dict.fromkeys(tickets[index:]) | self._waiting
                del tickets[index:]
                break
        return jobs

    def _grouped(self, jobs: list[Job]) -> Iterator[list[Job]]:
        if len(jobs) == 1:
            yield jobs
            return
        groups: dict[object, list[Job]] = {}
        for job in jobs:
            if job.rows == 0:
                yield [job]
            else:
                groups.setdefault(self._runs.likeness(job.request), []).append(job)
        for group in groups.values():
            yield from _portions(group, self._most_rows)

    def _run(self, group: list[Job], started: float) -> None:
        """Run a group here and now if that is quick, else leave it to the worker."""
        rows = rows_of(group)
        if not self._pace.is_quick(rows) or rows * self._runs.answer_row > LARGE:
            self._slow.update([(job.ticket, job) for job in group])
            return
        self._count_wait(group, started)
        outcomes = self._with_room(self._runs.attempt(group))
        self._count(outcomes)
        started = perf_counter()
        self._deliver(self._runs.deliveries(outcomes))
        self._metrics.encoding += perf_counter() - started
        self._watch_over(outcomes)

    def _watch_over(self, outcomes: list[Outcome]) -> None:
        if self._predicted.active:
            self._predicted.take(outcomes)
        if self._watching.active:
            self._watching.take(outcomes)

    def _with_room(self, outcomes: list[Outcome]) -> list[Outcome]:
        """All but those that lack memory while a run of the worker may hold it: these run after it."""
        lacking = [outcome for outcome in outcomes if self._worker.busy and outcome.lacks_memory]
        for outcome in lacking:
            self._slow.update([(job.ticket, job) for job in outcome.group])
        return [outcome for outcome in outcomes if outcome not in lacking] if lacking else outcomes

    def _count_wait(self, group: Sequence[Job | _Unread], now: float) -> None:
        accepted = [job.ticket.accepted for job in group]
        self._metrics.waited(len(group), len(group) * now - sum(accepted))

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        for job, found, encoded in deliveries:
            if isinstance(found, OipError):
                self._fail(job.ticket, found)
            elif (size := len(encoded[0])) <= LARGE:
                job.ticket.succeed(job.request, found, encoded)
            elif job.ticket.account.take(size):
                job.ticket.succeed(job.request, found, encoded)
                job.ticket.account.give(size)  # what the caller does not read is counted by its connection
            else:
                self._fail(job.ticket, OipError(REFUSAL, _BUSY))

    def _fail(self, ticket: Ticket, error: OipError) -> None:
        if ticket.settled:
            return
        if error.reason is not None:
            self._metrics.refusals[error.reason] += 1
        ticket.fail(error)

    def _count(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self._pace.took(outcome.rows, outcome.seconds)
            if not isinstance(outcome.result, OipError):
                self._metrics.ran(outcome.rows, len(outcome.group), outcome.seconds)

    # --- by the worker -----------------------------------------------------------------------

    def _feed_worker(self) -> None:
        if not self._slow:
            return
        self._drop_late()
        while self._slow and not self._worker.busy:
            stop = Stop()
            first = self._first_slow()
            if isinstance(first, _Unread):
                del self._slow[first.ticket]
                if not first.ticket.settled:
                    self._start([first], partial(self._runs.whole, first.ticket, stop), stop)
            elif group := self._take_shared(first):
                self._start(group, partial(self._runs.shared, group, stop), stop)
        self._watch()

    def _first_slow(self) -> Job | _Unread:
        """The next for the worker: of the address that it has served least recently."""
        oldest: dict[Account, Job | _Unread] = {}
        for job in self._slow.values():
            oldest.setdefault(job.ticket.account, job)
        served = self._served
        account = min(oldest, key=lambda found: served.get(found, -1))
        self._served = {found: served[found] for found in oldest if found in served}
        self._served[account] = max(served.values(), default=0) + 1
        return oldest[account]

    def _take_shared(self, first: Job) -> list[Job]:
        """A job that waits for the worker, and those that can share its run."""
        group: list[Job] = []
        rows = 0
        others = in_turns(self._slow.values(), lambda job: job.ticket.account, self._most_rows)
        for job in (first, *others):
            if job is not first and not self._can_share(job, first, rows):
                continue
            if self._slow.pop(job.ticket, None) is not None and not job.ticket.settled:
                group.append(job)
                rows += job.rows
        return group

    def _can_share(self, job: Job | _Unread, first: Job, rows: int) -> TypeGuard[Job]:
        return (
            isinstance(job, Job)
            and first.rows > 0
            and job.rows > 0
            and rows + job.rows <= self._most_rows
            and self._runs.likeness(job.request) == self._runs.likeness(first.request)
        )

    def _start(self, group: Sequence[Job | _Unread], work: Callable[[], Work], stop: Stop) -> None:
        self._count_wait(group, perf_counter())
        self._stop = stop
        self._running = dict.fromkeys([job.ticket for job in group])
        self._worker.start(work, self._worked)

    def _worked(self, work: Work | None) -> None:
        wanted, self._running = self._running, {}
        with _all_answered(list(wanted)):
            if work is None:
                raise RuntimeError("the run ended with a defect, whose trace stands above")
            self._metrics.decoding += work.decoding
            self._metrics.encoding += work.encoding
            self._count(work.outcomes)
            self._deliver([delivery for delivery in work.deliveries if delivery[0].ticket in wanted])
            self._watch_over(work.outcomes)
        self._feed_worker()
        self._check_stuck()

    # --- as time passes ----------------------------------------------------------------------

    def _watch(self) -> None:
        if not self._sweeping and self._worker.busy:
            self._sweeping = True
            self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """End what takes too long: the present run, and the wait for it."""
        self._sweeping = False
        if self._worker.busy_seconds() > self._bounds.run_seconds:
            self._stop.set()
        self._drop_late()
        self._check_stuck()
        self._watch()

    def _drop_late(self) -> None:
        oldest = perf_counter() - self._bounds.seconds
        while self._slow:
            job = next(iter(self._slow.values()))
            if job.ticket.accepted >= oldest:
                return
            del self._slow[job.ticket]
            self._fail(job.ticket, OipError(_LATE.format(self._bounds.seconds), _BUSY, "QueueAge"))

    def _check_stuck(self) -> None:
        if self.stuck is not self._was_stuck:
            self._was_stuck = self.stuck
            self._changed()


class _all_answered:  # noqa: N801 - reads as the statement it is used in
    """Answers every ticket with an error should a defect of ours end a turn half-way."""

    __slots__ = ("_tickets",)

    def __init__(self, tickets: list[Ticket]) -> None:
        self._tickets = tickets

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return
        for ticket in self._tickets:
            if not ticket.settled:
                ticket.fail(OipError("an internal error of the server; its log says more", Problem.INTERNAL))


def _account(ticket: Ticket) -> Account:
    return ticket.account


def _portions(group: list[Job], most_rows: int) -> Iterator[list[Job]]:
    """Cut a group where its rows would make one run too long."""
    portion: list[Job] = []
    rows = 0
    for job in group:
        if portion and rows + job.rows > most_rows:
            yield portion
            portion, rows = [], 0
        portion.append(job)
        rows += job.rows
    if portion:
        yield portion
