"""Counts what callers send and get, while the operator asks for it. The rest of the server knows `Watch` alone.

Counting begins with the first GET /monitor and ends when there has been none for a while: a server that no one watches
pays nothing. It costs a bounded part of the time (`budget`), and rows are only ever left out by whole runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter, thread_time, time
from traceback import format_exception
from typing import Any, NamedTuple

import numpy as np

from modelwright_serving import logs
from modelwright_serving.metrics import ProtocolMetrics
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.runs import Outcome, Seen
from modelwright_serving.watching import report
from modelwright_serving.watching.budget import Budget
from modelwright_serving.watching.buffer import Buffer, Chosen, most_rows, spread
from modelwright_serving.watching.places import Places
from modelwright_serving.watching.reading import UNUSABLE, Reading
from modelwright_serving.watching.report import Feedback, Json
from modelwright_serving.watching.windows import Window, Windows

# Of a window that the first to ask does not name.
SECONDS = 3600
# Without being asked for so long, counting ends.
PATIENCE = 900.0
# A length holds for so many of the pauses of one who asks 20 times a window, between once a second and once in two
# minutes, as the operator does. Otherwise anyone who reaches the port could throw its counts away.
_HELD_PAUSES = 2.5
_KNOWN_SHAPES = 1024


class Watch:
    """All that is counted of one model. Everything but `beside` belongs to the event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, feedback: Feedback, protocols: tuple[ProtocolMetrics[Any], ...]
    ) -> None:
        self._loop = loop
        self._protocols = protocols
        self._unseen = 0  # answers that no caller got, up to the last look
        # Whether rows are counted. No property: it is asked at each run.
        self.active = False
        self._feedback = feedback
        self._model = ""
        self._reading: Reading | None = None
        self._counts: _Counts | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._asked = 0.0
        self._held = 0.0  # until when another length of windows is refused

    def install(self, digest: str, reading: Reading) -> None:
        """The model is there."""
        self._model = digest
        self._reading = reading

    @property
    def installed(self) -> bool:
        """Whether there is a model."""
        return self._reading is not None

    @property
    def profile(self) -> bytes | None:
        """The bytes of profile.json."""
        return None if self._reading is None else self._reading.content()

    def window(self) -> int | None:
        """The id of the present window; None while nothing is counted."""
        counts = self._counts
        return None if counts is None else counts.windows.identity(time())

    def asked(self, seconds: int | None) -> bool:
        """Count from now on, in windows of so many seconds; another length than before begins anew.

        False: nothing has changed, as windows of another length were asked for a moment ago.
        """
        now = self._loop.time()
        if self._reading is None:
            return True
        counts = self._counts
        if counts is not None and seconds not in (None, counts.windows.seconds) and now < self._held:
            return False
        self._asked = now
        if seconds is not None:
            self._held = now + _HELD_PAUSES * min(max(seconds / 20, 1.0), 120.0)
        if counts is None or seconds not in (None, counts.windows.seconds):
            self._counts = _Counts(self._reading.places, seconds or SECONDS)
            self.active = True
            self._feedback.forget()
        if self._ending is None:
            self._ending = self._loop.call_later(PATIENCE, self._end)
        return True

    def _end(self) -> None:
        left = self._asked + PATIENCE - self._loop.time()
        self._ending = None
        if left > 0:
            self._ending = self._loop.call_later(left, self._end)
        else:
            self._counts = None
            self.active = False
            self._feedback.forget()

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Count these runs."""
        counts = self._counts
        if counts is None:
            return
        # The way of most runs at full load, when there is no time to count them. It costs a microsecond.
        if len(outcomes) == 1 and counts.resume > perf_counter() and not self._has_copies():
            outcome = outcomes[0]
            if outcome.seen is None:
                if outcome.result.__class__ is list:
                    counts.window.requests += len(outcome.group)
                    counts.window.rows += outcome.rows
                return
        try:
            counts.take(outcomes)
        except Exception as error:  # noqa: BLE001 - callers get their answers, whatever is wrong with counting
            self._give_up(error)

    def _has_copies(self) -> bool:
        """Whether a copy may have been answered since the last look."""
        unseen = 0
        for protocol in self._protocols:
            unseen += protocol.unseen_requests
        found, self._unseen = unseen != self._unseen, unseen
        return found

    def beside(self, outcomes: Sequence[Outcome]) -> None:
        """Count runs of the worker on its own thread; `take` adds what is found."""
        if self._counts is not None:
            try:
                self._counts.beside(outcomes)
            except Exception as error:  # noqa: BLE001 - as above
                self._loop.call_soon_threadsafe(self._give_up, error)

    def _give_up(self, error: Exception) -> None:
        """Rows are counted no more: a defect of ours, or a profile that we have read wrongly."""
        if self._reading is not None and self._reading.places is not None:
            problem = f"{type(error).__name__}: {error}"[:300]
            logs.event("counting ended", problem=problem, trace="".join(format_exception(error))[-2000:])
            self._reading = replace(self._reading, places=None, reason=UNUSABLE, problem=problem)
            if self._counts is not None:
                self._counts = _Counts(None, self._counts.windows.seconds)

    def report(self) -> Json:
        """What GET /monitor answers."""
        reading, counts, now = self._reading, self._counts, time()
        kept = [] if counts is None else counts.kept()
        return {
            "started": now if counts is None else counts.started,
            "digest": self._model,
            "profile": None if reading is None else reading.digest,
            "reason": None if reading is None else reading.reason,
            "window": SECONDS if counts is None else counts.windows.seconds,
            "now": now,
            "windows": report.windows(kept, None if reading is None else reading.places, self._feedback),
            "feedback": self._feedback.state,
        }

    def last(self) -> bytes:
        """The termination message with what was counted; empty if nothing was."""
        found = {} if self._counts is None else self.report()
        return report.last(found) if found.get("windows") else b""


class _Counts:
    """From one beginning on. `places` is None without a profile: then requests and rows are all that is counted."""

    def __init__(self, places: Places | None, seconds: int) -> None:
        self.started = round(time(), 3)
        self.windows = Windows(seconds)
        self._places = places
        self._budget = Budget(perf_counter())
        self._random = np.random.default_rng()
        # That of the rows in the buffer.
        self.window = self.windows.at(time())
        # Until then, on the clock of perf_counter, nothing is counted, and no window ends.
        self.resume = 0.0
        self._buffer = None if places is None else Buffer(places)
        self._beside: Buffer | None = None  # made by the worker, when it needs one
        self._most = self._most_beside = 0
        if places is not None:
            self._most, self._most_beside = (most_rows(places, beside=beside) for beside in (False, True))
        self._known: dict[object, bool] = {}

    def kept(self) -> list[Window]:
        """The windows, with all that waits counted."""
        self._flush()
        return self.windows.kept()

    def take(self, outcomes: Sequence[Outcome]) -> None:
        started, now, worked = perf_counter(), time(), thread_time()
        window = self.window
        if self.windows.identity(now) != window.id:
            self._flush()
            window = self.window = self.windows.at(now)
        allowed = self._budget.allows(started)
        for outcome in outcomes:
            if not isinstance(outcome.result, OipError):
                self._take(outcome, window, allowed=allowed)
            outcome.inputs = None
        # Of this thread alone: what others do on a busy machine meanwhile is not taken by counting.
        self._budget.spend(thread_time() - worked)
        ends = (window.id + 1) * self.windows.seconds - now
        self.resume = started + min(ends, self._budget.pause() if self._buffer is not None else ends)

    def _take(self, outcome: Outcome, window: Window, *, allowed: bool) -> None:
        group = outcome.group
        copies = True in [job.ticket.is_copy for job in group]
        callers = _Callers.of(outcome) if copies else None
        window.requests += len(group) if callers is None else callers.requests
        window.rows += outcome.rows if callers is None else len(callers.rows)
        seen = outcome.seen
        if seen is None and allowed and self._buffer is not None:
            seen = self._count(outcome, callers, self._buffer, beside=False)
        if seen is None:
            return
        window.counted += seen.rows
        window.squares += seen.squares
        if seen.cells is not None:
            window.add(seen.cells)
            self._budget.spend(seen.seconds)

    def beside(self, outcomes: Sequence[Outcome]) -> None:
        if self._places is None or not self._budget.allows(perf_counter()):
            return
        if self._beside is None:
            self._beside = Buffer(self._places)
        for outcome in outcomes:
            if not isinstance(outcome.result, OipError):
                started = thread_time()
                copies = True in [job.ticket.is_copy for job in outcome.group]
                callers = _Callers.of(outcome) if copies else None
                seen = self._count(outcome, callers, self._beside, beside=True)
                if seen is not None:
                    seen.cells = self._beside.take()
                    seen.seconds = thread_time() - started
                outcome.seen = seen

    def _count(
        self, outcome: Outcome, callers: _Callers | None, buffer: Buffer, *, beside: bool
    ) -> Seen | None:
        """Hand the rows of callers to the buffer; None if it does not count them."""
        inputs, result, rows = outcome.inputs, outcome.result, outcome.rows
        if not rows or inputs is None or isinstance(result, OipError) or not self._fits(inputs, result, rows):
            return None
        most = self._most_beside if beside else self._most
        if callers is None and rows <= most:
            buffer.add(inputs, result, rows, yields=beside)
            return Seen(rows, rows if rows == len(outcome.group) else _squares(_sizes(outcome)))
        chosen = np.arange(rows) if callers is None else callers.rows
        if len(chosen) > most:
            chosen = chosen[spread(len(chosen), most, self._random)]
        if not len(chosen):
            return None
        buffer.add(*buffer.places.some(inputs, result, chosen), len(chosen), yields=beside)
        ends = np.cumsum(_sizes(outcome))
        return Seen(len(chosen), _squares(np.bincount(np.searchsorted(ends, chosen, side="right")).tolist()))

    def _fits(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], rows: int) -> bool:
        """Whether the tensors are as the profile says. There are few kinds of them: looked at once, known for long."""
        shapes = tuple([tensor.shape for tensor in (*inputs, *outputs)])
        found = self._known.get(shapes)
        if found is None:
            found = self._places is not None and self._places.fits(inputs, outputs, rows)
            if len(self._known) >= _KNOWN_SHAPES:
                self._known.clear()
            self._known[shapes] = found
        return found

    def _flush(self) -> None:
        if self._buffer is not None:
            self.window.add(self._buffer.take())


class _Callers(NamedTuple):
    """What of a run was not asked by copies: the requests, and the places of their rows."""

    requests: int
    rows: Chosen

    @classmethod
    def of(cls, outcome: Outcome) -> _Callers:
        asked = [not job.ticket.is_copy for job in outcome.group]
        return cls(sum(asked), np.flatnonzero(np.repeat(asked, _sizes(outcome))))


def _sizes(outcome: Outcome) -> list[int]:
    """The rows of each request of a run."""
    return [job.rows or outcome.rows for job in outcome.group]


def _squares(sizes: list[int]) -> int:
    return sum([size * size for size in sizes])
