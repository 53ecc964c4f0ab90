"""Runs what has arrived in one turn of the event loop with as few runs of the model as possible.

It delays nothing: whatever was readable when the turn began is grouped. A run that would hold up the event loop
goes to the worker, and what arrives meanwhile is grouped for its next run. Knows no protocol: a ticket decodes
its own request and takes its own answer. One bad request never touches its neighbours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Protocol, TypeAlias

from modelwright_serving import runtime
from modelwright_serving.metrics import Metrics
from modelwright_serving.model import LoadedModel
from modelwright_serving.oip.answer import Answer, RunOutputs
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.tensors import Tensor, stack
from modelwright_serving.pace import Pace
from modelwright_serving.worker import Worker

MAX_REQUESTS_PER_TURN = 128
MAX_ROWS_PER_RUN = 256

Result: TypeAlias = "list[Tensor] | OipError"

_FULL = "too many requests are waiting; try again shortly"
_LATE = "the request waited longer than {:g} s for its run; try again shortly"


class Ticket(Protocol):
    """One inference that a transport has accepted."""

    @property
    def settled(self) -> bool:
        """Whether nobody waits for an answer: it is given, or the caller has gone."""
        ...

    def decode(self) -> InferRequest: ...

    def succeed(self, request: InferRequest, answer: Answer) -> None: ...

    def fail(self, error: OipError) -> None: ...


@dataclass(slots=True)
class _Job:
    """A decoded request: `rows` is 0 if it has to run alone, `since` when its turn began, in seconds."""

    ticket: Ticket
    request: InferRequest
    rows: int
    since: float


@dataclass(slots=True)
class _Outcome:
    """What a run gave for a group; `by_row`: an entry of every output for each of its rows."""

    group: list[_Job]
    result: Result
    rows: int
    by_row: bool


@dataclass(frozen=True)
class Bounds:
    """How many requests may wait, and for how long."""

    requests: int = 4096
    seconds: float = 10.0


def attempt(model: LoadedModel, inputs: list[Tensor]) -> Result:
    """Run the model; what it refuses becomes an error for the caller."""
    try:
        return model.run(inputs)
    except runtime.RunFailed as error:
        problem = Problem.INVALID if runtime.blames_input(error) else Problem.INTERNAL
        return OipError(f"the model failed on this request: {runtime.said(error)}", problem)


class Executor:
    """The queue between the transports and the model."""

    def __init__(
        self,
        model: LoadedModel,
        pace: Pace,
        worker: Worker[list[_Outcome]],
        call_soon: Callable[[Callable[[], None]], object],
        metrics: Metrics,
        bounds: Bounds,
    ) -> None:
        self._model = model
        self._pace = pace
        self._worker = worker
        self._call_soon = call_soon
        self._metrics = metrics
        self._bounds = bounds
        self._waiting: deque[Ticket] = deque()
        self._slow: deque[list[_Job]] = deque()
        self._slow_requests = 0
        self._scheduled = False
        self._kinds = [spec.dtype for spec in model.signature.inputs]

    def __len__(self) -> int:
        return len(self._waiting) + self._slow_requests

    def busy_seconds(self) -> float:
        """How long the worker has been at its present run."""
        return self._worker.busy_seconds()

    def submit(self, ticket: Ticket) -> None:
        """Take a ticket; it is answered in a later turn, or refused at once when the queue is full."""
        if len(self._waiting) + self._slow_requests >= self._bounds.requests:
            self._metrics.refusals["QueueFull"] += 1
            ticket.fail(OipError(_FULL, Problem.UNAVAILABLE))
            return
        self._waiting.append(ticket)
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        """Decode and run a bounded share of the queue, then give the event loop its turn."""
        waiting = self._waiting
        taken = [waiting.popleft() for _ in range(min(len(waiting), MAX_REQUESTS_PER_TURN))]
        self._scheduled = bool(waiting)
        if self._scheduled:
            self._call_soon(self._turn)
        with _nobody_left_waiting(taken):
            for group in self._grouped(self._decode(taken)):
                self._run(group)

    def _decode(self, tickets: list[Ticket]) -> list[_Job]:
        jobs: list[_Job] = []
        now = perf_counter()
        for ticket in tickets:
            if ticket.settled:
                continue
            try:
                request = ticket.decode()
                jobs.append(_Job(ticket, request, self._rows(request), now))
            except OipError as error:
                ticket.fail(error)
        return jobs

    def _rows(self, request: InferRequest) -> int:
        """How many rows the request has; 0 if it has to run alone."""
        if not self._model.joins_rows:
            return 0
        inputs = request.inputs
        rows: int = inputs[0].shape[0]
        if len(inputs) > 1:
            for spec, part in zip(self._model.signature.inputs, inputs, strict=True):
                if part.shape[0] != rows:
                    first = self._model.signature.inputs[0].name
                    raise OipError(
                        f"input {spec.name!r} has {part.shape[0]} rows, but input {first!r} has {rows}"
                    )
        return rows

    def _grouped(self, jobs: list[_Job]) -> Iterator[list[_Job]]:
        if len(jobs) == 1:
            yield jobs
            return
        groups: dict[object, list[_Job]] = {}
        for job in jobs:
            if job.rows == 0:
                yield [job]
            else:
                groups.setdefault(self._likeness(job.request), []).append(job)
        for group in groups.values():
            yield from _portions(group)

    def _likeness(self, request: InferRequest) -> object:
        """Equal for requests that can share a run: all dimensions but the number of rows."""
        if self._model.signature.rows_only_vary:
            return None
        return tuple([tuple(part.shape[1:]) for part in request.inputs])

    # --- running -----------------------------------------------------------------------------

    def _run(self, group: list[_Job]) -> None:
        """Run a group here and now if that is quick, else leave it to the worker."""
        if self._pace.is_quick(_rows_to_run(group)):
            started = perf_counter()
            outcomes = self._attempt(group)
            self._pace.took(perf_counter() - started)
            self._finish(outcomes)
        else:
            self._slow.append(group)
            self._slow_requests += len(group)
            self._feed_worker()

    def _feed_worker(self) -> None:
        while self._slow and not self._worker.busy:
            group = self._next_slow()
            if group:
                self._worker.start(partial(self._attempt, group), partial(self._worked, group))

    def _worked(self, group: list[_Job], outcomes: list[_Outcome] | None) -> None:
        with _nobody_left_waiting([job.ticket for job in group]):
            if outcomes is None:
                raise RuntimeError("the run ended with a defect, whose trace stands above")
            self._finish(outcomes)
        self._feed_worker()

    def _attempt(self, group: list[_Job]) -> list[_Outcome]:
        """Run the model; on the worker's thread or the event loop's, so nothing but the model is touched.

        When somebody's rows break the run for all, halving finds them in few runs, and they fail alone.
        """
        rows = _rows_to_run(group)
        result = attempt(self._model, self._inputs(group, rows))
        by_row = False
        if not isinstance(result, OipError):
            by_row = group[0].rows > 0 and all(array.shape[:1] == (rows,) for array in result)
        if by_row or len(group) == 1:
            return [_Outcome(group, result, rows, by_row)]
        middle = len(group) // 2
        return self._attempt(group[:middle]) + self._attempt(group[middle:])

    def _inputs(self, group: list[_Job], rows: int) -> list[Tensor]:
        if len(self._kinds) == 1:
            return [stack(self._kinds[0], [job.request.inputs[0] for job in group], rows)]
        columns = zip(*[job.request.inputs for job in group], strict=True)
        return [stack(kind, parts, rows) for kind, parts in zip(self._kinds, columns, strict=True)]

    def _finish(self, outcomes: list[_Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome.result, OipError):
                outcome.group[0].ticket.fail(outcome.result)
                continue
            self._metrics.batch(outcome.rows)
            outputs = RunOutputs(outcome.result, by_row=outcome.by_row)
            start = 0
            for job in outcome.group:
                stop = start + job.rows
                job.ticket.succeed(job.request, Answer(outputs, start, stop))
                start = stop

    def _next_slow(self) -> list[_Job]:
        """The first group that waits for the worker, and all others that may join it; without the too old."""
        group = self._slow.popleft()
        if group[0].rows:
            rows = _rows_to_run(group)
            likeness = self._likeness(group[0].request)
            while (
                self._slow
                and self._slow[0][0].rows
                and rows + _rows_to_run(self._slow[0]) <= MAX_ROWS_PER_RUN
                and self._likeness(self._slow[0][0].request) == likeness
            ):
                rows += _rows_to_run(self._slow[0])
                group = group + self._slow.popleft()
        self._slow_requests -= len(group)
        return self._in_time(group)

    def _in_time(self, group: list[_Job]) -> list[_Job]:
        oldest = perf_counter() - self._bounds.seconds
        for job in group:
            if job.since < oldest and not job.ticket.settled:
                self._metrics.refusals["QueueAge"] += 1
                job.ticket.fail(OipError(_LATE.format(self._bounds.seconds), Problem.UNAVAILABLE))
        return [job for job in group if not job.ticket.settled]


class _nobody_left_waiting:  # noqa: N801 - reads as the statement it is used in
    """Should a defect of ours end a turn half-way, its callers hear of it instead of waiting for ever."""

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


def _rows_to_run(group: list[_Job]) -> int:
    """The rows of a run; what has to run alone counts what its first dimension says."""
    if len(group) == 1 and not group[0].rows:
        shape = group[0].request.inputs[0].shape
        return shape[0] if shape else 1
    return sum([job.rows for job in group])


def _portions(group: list[_Job]) -> Iterator[list[_Job]]:
    """Cut a group where its rows would make one run too long."""
    portion: list[_Job] = []
    rows = 0
    for job in group:
        if portion and rows + job.rows > MAX_ROWS_PER_RUN:
            yield portion
            portion, rows = [], 0
        portion.append(job)
        rows += job.rows
    if portion:
        yield portion
