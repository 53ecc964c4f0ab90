"""Runs what has arrived in one turn of the event loop with as few runs of the model as possible.

It delays nothing: whatever was readable when the turn began is grouped. Knows no protocol: a ticket decodes
its own request and takes its own answer. One bad request never touches its neighbours.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from modelwright_serving import runtime
from modelwright_serving.metrics import Metrics
from modelwright_serving.model import LoadedModel
from modelwright_serving.oip.answer import Answer, RunOutputs
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.tensors import Tensor

MAX_REQUESTS_PER_TURN = 128
MAX_ROWS_PER_RUN = 256


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
    ticket: Ticket
    request: InferRequest
    rows: int


class Runner(Protocol):
    """Where a run happens. A worker thread fits here: `done` may be called later, on the event loop."""

    def __call__(self, inputs: list[Tensor], done: Callable[[list[Tensor] | OipError], None]) -> None: ...


def inline_runner(model: LoadedModel) -> Runner:
    """Runs at once on the event loop: right as long as a run takes less than about a millisecond."""

    def run(inputs: list[Tensor], done: Callable[[list[Tensor] | OipError], None]) -> None:
        try:
            outputs = model.run(inputs)
        except runtime.RunFailed as error:
            problem = Problem.INVALID if runtime.blames_input(error) else Problem.INTERNAL
            done(OipError(f"the model failed on this request: {runtime.said(error)}", problem))
            return
        done(outputs)

    return run


class Executor:
    """The queue between the transports and the model."""

    def __init__(
        self,
        model: LoadedModel,
        runner: Runner,
        call_soon: Callable[[Callable[[], None]], object],
        metrics: Metrics,
        queue_limit: int,
    ) -> None:
        self._model = model
        self._runner = runner
        self._call_soon = call_soon
        self._metrics = metrics
        self._queue_limit = queue_limit
        self._waiting: deque[Ticket] = deque()
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, ticket: Ticket) -> None:
        """Take a ticket; it is answered in a later turn, or refused at once when the queue is full."""
        if len(self._waiting) >= self._queue_limit:
            ticket.fail(OipError("too many requests are waiting; try again shortly", Problem.UNAVAILABLE))
            return
        self._waiting.append(ticket)
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        """Decode and run a bounded share of the queue, then give the event loop its turn."""
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_REQUESTS_PER_TURN))]
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            self._call_soon(self._turn)
        with _nobody_left_waiting(taken):
            for group in self._grouped(self._decode(taken)):
                self._run(group)

    def _decode(self, tickets: list[Ticket]) -> list[_Job]:
        jobs: list[_Job] = []
        for ticket in tickets:
            if ticket.settled:
                continue
            try:
                request = ticket.decode()
                jobs.append(_Job(ticket, request, self._rows(request)))
            except OipError as error:
                ticket.fail(error)
        return jobs

    def _rows(self, request: InferRequest) -> int:
        """How many rows the request has; 0 if it has to run alone."""
        if not self._model.joins_rows:
            return 0
        rows: int = request.inputs[0].shape[0]
        for spec, tensor in zip(self._model.signature.inputs, request.inputs, strict=True):
            if tensor.shape[0] != rows:
                first = self._model.signature.inputs[0].name
                raise OipError(
                    f"input {spec.name!r} has {tensor.shape[0]} rows, but input {first!r} has {rows}"
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
        return tuple(tensor.shape[1:] for tensor in request.inputs)

    def _run(self, group: list[_Job]) -> None:
        if len(group) == 1:
            inputs = group[0].request.inputs
        else:
            columns = zip(*(job.request.inputs for job in group), strict=True)
            inputs = [np.concatenate(column) for column in columns]
        self._runner(inputs, lambda result: self._finish(group, result))

    def _finish(self, group: list[_Job], result: list[Tensor] | OipError) -> None:
        rows = sum(job.rows for job in group)
        if len(group) > 1 and (
            isinstance(result, OipError) or any(array.shape[:1] != (rows,) for array in result)
        ):
            # Somebody's rows broke the run for all: halving finds them in few runs, and they fail alone.
            middle = len(group) // 2
            self._run(group[:middle])
            self._run(group[middle:])
            return
        if isinstance(result, OipError):
            group[0].ticket.fail(result)
            return
        self._metrics.batch(rows or (len(result[0]) if result[0].ndim else 1))
        self._answer(group, RunOutputs(result, shared=len(group) > 1))

    def _answer(self, group: list[_Job], outputs: RunOutputs) -> None:
        start = 0
        for job in group:
            stop = start + job.rows
            job.ticket.succeed(job.request, Answer(outputs, start, stop))
            start = stop


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
