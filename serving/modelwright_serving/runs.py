"""One run of the model: the jobs that share it, and what it gives each of them.

Works on the event loop and on the worker's thread alike: it touches nothing but the model and the tickets' decoding
and encoding. When and where runs happen is left to `batch`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeAlias

from modelwright_serving import runtime
from modelwright_serving.limits import FEEDBACK, MAX_ANSWER
from modelwright_serving.memory import Account
from modelwright_serving.model import LoadedModel
from modelwright_serving.oip.answer import JSON_GROWTH, Answer, RunOutputs, answer_size, check_answer
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.tensors import Part, Tensor, stack
from modelwright_serving.runtime import Stop
from modelwright_serving.watching.cells import Cells

# The body of an answer, and the length of its JSON part if binary data follows it.
Encoded: TypeAlias = "tuple[bytes, int | None]"


_NOTHING: Encoded = (b"", None)
_TOO_LONG = "the run of the model was ended because it took too long; send fewer rows, or ask for less"

TOO_MUCH = "the run needs more memory than the model may take (--model-memory-bytes); send fewer rows, or ask for less"


class Ticket(Protocol):
    """One inference that a transport has accepted. All but `decode` and `encode` belongs to the event loop."""

    @property
    def accepted(self) -> float:
        """When, in seconds on the clock of time.perf_counter."""
        ...

    @property
    def account(self) -> Account:
        """That of the caller's address: addresses take turns."""
        ...

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy of a request that another revision answers: no caller has sent it."""
        ...

    @property
    def settled(self) -> bool:
        """Whether no caller waits for an answer: it is given, or the caller has gone."""
        ...

    def decode(self, *, at_once: bool) -> InferRequest:
        """The request; CostlyError if `at_once` is asked for and it takes longer than the event loop can spare."""
        ...

    def encode(self, request: InferRequest, answer: Answer) -> Encoded: ...

    def succeed(self, request: InferRequest, answer: Answer, encoded: Encoded) -> None: ...

    def fail(self, error: OipError) -> None: ...


@dataclass(slots=True, eq=False)
class Job:
    """A decoded request: `rows` is 0 if it has to run alone."""

    ticket: Ticket
    request: InferRequest
    rows: int


@dataclass(slots=True)
class Seen:
    """Rows of callers that were counted, and the sum over the requests of the square of theirs. `cells`: what was
    counted on the worker, in `seconds`."""

    rows: int
    squares: int
    cells: Cells | None = None
    seconds: float = 0.0


class Watching(Protocol):
    """Counts the rows of runs."""

    @property
    def active(self) -> bool:
        """Whether it does now; then it needs the inputs of runs."""
        ...

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Count what these runs were about."""
        ...

    def beside(self, outcomes: Sequence[Outcome]) -> None:
        """On the worker's thread, do the work of counting them; `take` comes after it."""
        ...


class Unwatched:
    """Counts nothing."""

    active = False

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing to do."""

    def beside(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing to do."""


@dataclass(slots=True, eq=False)
class Outcome:
    """What a run gave for a group in `seconds`; `by_row`: an entry of every output for each of its rows.

    `inputs`: of the run, as long as they are to be counted.
    """

    group: list[Job]
    result: list[Tensor] | OipError
    rows: int
    by_row: bool
    seconds: float
    inputs: list[Tensor] | None = None
    seen: Seen | None = None

    @property
    def lacks_memory(self) -> bool:
        return isinstance(self.result, OipError) and self.result.reason == "ModelMemory"


# A job, what it gets, and that answer's bytes: none for an error.
Delivery: TypeAlias = "tuple[Job, Answer | OipError, Encoded]"


@dataclass(slots=True)
class Work:
    """What the worker has done in one go; times in seconds."""

    outcomes: list[Outcome]
    deliveries: list[Delivery]
    decoding: float
    encoding: float


class Runs:
    """Everything that jobs need of one model."""

    def __init__(self, model: LoadedModel, watching: Watching) -> None:
        self._model = model
        self._watching = watching
        self._joins_rows = model.joins_rows
        self._inputs = model.signature.inputs
        self._kinds = [spec.dtype for spec in model.signature.inputs]
        self.answer_row = answer_size(model.signature, model.signature.all_outputs[False], 1)

    # --- before a run ------------------------------------------------------------------------

    def job(self, ticket: Ticket, request: InferRequest) -> Job:
        """The request as a job; OipError if its inputs differ in rows, or its answer would be too large."""
        inputs = request.inputs
        shape = inputs[0].shape
        rows: int = shape[0] if shape else 1
        if self._joins_rows and len(inputs) > 1:
            self._check_rows(inputs, rows)
        if request.tokens and rows > FEEDBACK.tokens:
            raise OipError(
                f"{rows} rows are too many for prediction tokens; ask for those of at most {FEEDBACK.tokens} at a time",
                Problem.TOO_LARGE,
                "Rows",
            )
        if rows * self.answer_row > MAX_ANSWER:
            check_answer(answer_size(self._model.signature, request.wanted, rows))
        return Job(ticket, request, rows if self._joins_rows else 0)

    def _check_rows(self, inputs: list[Part], rows: int) -> None:
        for spec, part in zip(self._inputs, inputs, strict=True):
            if part.shape[0] != rows:
                first = self._inputs[0].name
                raise OipError(
                    f"input {spec.name!r} has {part.shape[0]} rows, but input {first!r} has {rows}"
                )

    def likeness(self, request: InferRequest) -> object:
        """Equal for requests that can share a run: all dimensions but the number of rows."""
        if self._model.signature.rows_only_vary:
            return None
        return tuple([tuple(part.shape[1:]) for part in request.inputs])

    # --- a run -------------------------------------------------------------------------------

    def attempt(self, group: list[Job], stop: Stop | None = None) -> list[Outcome]:
        """Run the model. When one request's rows fail the run for all, halving finds them in few runs."""
        rows = rows_of(group)
        started = perf_counter()
        inputs = self._stacked(group, rows)
        result = self._run(inputs, stop)
        seconds = perf_counter() - started
        by_row = False
        if not isinstance(result, OipError):
            by_row = group[0].rows > 0 and all(array.shape[:1] == (rows,) for array in result)
        if by_row or len(group) == 1 or (stop is not None and stop.called):
            return [Outcome(group, result, rows, by_row, seconds, inputs if self._watching.active else None)]
        middle = len(group) // 2
        return self.attempt(group[:middle], stop) + self.attempt(group[middle:], stop)

    def _run(self, inputs: list[Tensor], stop: Stop | None) -> list[Tensor] | OipError:
        """The outputs; what the model refuses becomes an error for the caller."""
        try:
            return self._model.run(inputs, stop)
        except MemoryError:
            return OipError(TOO_MUCH, Problem.TOO_LARGE, "ModelMemory")
        except runtime.RunFailed as error:
            if stop is not None and stop.called:
                return OipError(_TOO_LONG, Problem.TIMEOUT, "RunTime")
            problem = Problem.INVALID if runtime.blames_input(error) else Problem.INTERNAL
            return OipError(f"the model failed on this request: {runtime.said(error)}", problem)

    def _stacked(self, group: list[Job], rows: int) -> list[Tensor]:
        if len(self._kinds) == 1:
            return [stack(self._kinds[0], [job.request.inputs[0] for job in group], rows)]
        columns = zip(*[job.request.inputs for job in group], strict=True)
        return [stack(kind, parts, rows) for kind, parts in zip(self._kinds, columns, strict=True)]

    # --- after a run -------------------------------------------------------------------------

    def deliveries(self, outcomes: list[Outcome]) -> Iterator[Delivery]:
        """What each job gets."""
        for outcome in outcomes:
            if isinstance(outcome.result, OipError):
                for job in outcome.group:
                    yield job, outcome.result, _NOTHING
                continue
            outputs = RunOutputs(outcome.result, by_row=outcome.by_row)
            is_small = outputs.size <= MAX_ANSWER // JSON_GROWTH
            start = 0
            for job in outcome.group:
                answer = Answer(outputs, start, start + job.rows)
                start += job.rows
                try:
                    if not is_small:
                        check_answer(answer.size(job.request.wanted))
                    delivery: Delivery = job, answer, job.ticket.encode(job.request, answer)
                except OipError as error:
                    delivery = job, error, _NOTHING
                yield delivery

    # --- all of it, on the worker ------------------------------------------------------------

    def whole(self, ticket: Ticket, stop: Stop) -> Work:
        """Decode, run and encode a request that is too large for the event loop."""
        started = perf_counter()
        gc.disable()  # it would look at every value of a large document again and again, and stop all threads for it
        try:
            job = self.job(ticket, ticket.decode(at_once=False))
        except OipError as error:
            error.__traceback__ = None  # it would keep the document
            refused = Job(ticket, InferRequest([], ()), 0)
            return Work([], [(refused, error, _NOTHING)], perf_counter() - started, 0.0)
        finally:
            gc.enable()
        decoding = perf_counter() - started
        work = self.shared([job], stop)
        work.decoding = decoding
        return work

    def shared(self, group: list[Job], stop: Stop) -> Work:
        """Run a group, and encode what it gives."""
        outcomes = self.attempt(group, stop)
        if self._watching.active:
            self._watching.beside(outcomes)
            for outcome in outcomes:
                outcome.inputs = None
        started = perf_counter()
        deliveries = list(self.deliveries(outcomes))
        return Work(outcomes, deliveries, 0.0, perf_counter() - started)


def rows_of(group: list[Job]) -> int:
    """The rows of a run; what has to run alone counts what its first dimension says."""
    if len(group) == 1 and not group[0].rows:
        shape = group[0].request.inputs[0].shape
        return shape[0] if shape else 1
    return sum([job.rows for job in group])
