"""One thread for runs of the model that are too long for the event loop: ONNX Runtime lets go of the interpreter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

Outcome = TypeVar("Outcome")


class Worker(Generic[Outcome]):
    """Does one piece of work at a time; the thread starts with the first and never keeps the process alive."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: SimpleQueue[Callable[[], Outcome]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._done: Callable[[Outcome | None], None] | None = None
        self._since = 0.0

    @property
    def busy(self) -> bool:
        return self._done is not None

    def busy_seconds(self) -> float:
        """How long the present work has taken; 0 without any."""
        return monotonic() - self._since if self.busy else 0.0

    def start(self, work: Callable[[], Outcome], done: Callable[[Outcome | None], None]) -> None:
        """Begin work that never gives None; only for a worker that is not busy.

        `done` is called on the event loop, with None if a defect has ended the work.
        """
        self._done = done
        self._since = monotonic()
        self._work.put(work)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="model", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while True:
            work = self._work.get()
            outcome: Outcome | None = None
            try:
                outcome = work()
            finally:  # a defect of ours ends this thread with its trace
                if outcome is None:
                    self._thread = None
                self._report(outcome)

    def _report(self, outcome: Outcome | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, outcome)

    def _finish(self, outcome: Outcome | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)
