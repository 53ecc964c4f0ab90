"""Follows one InferenceService: reads it, watches it, and starts again after errors.

A separate thread waits for the API server. So the main thread can redraw durations, and Ctrl-C works.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Self

from modelwright.cli.cluster import Cluster
from modelwright.cli.errors import Complaint, Expired, Unreachable
from modelwright.engine.backoff import Backoff
from modelwright.view.model import InferenceService

TICK = 1.0
PAUSES = Backoff(base=0.5, cap=10.0)
PATIENCE = 2.0


@dataclass(frozen=True)
class Trouble:
    """Why there are no new states at present. The thread keeps trying."""

    message: str


State = InferenceService | Trouble


class Following:
    """The states of an InferenceService from now on. Use it in a `with`."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._name = cluster, name
        self._states: Queue[State | Complaint] = Queue()
        self._over = Event()
        self._thread = Thread(target=self._run, name="following", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the watch, repeatedly: the thread may be about to open one."""
        self._over.set()
        deadline = time.monotonic() + PATIENCE
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._cluster.stop()
            self._thread.join(0.02)

    def states(self, within: float | None = None) -> Iterator[State | None]:
        """Yields each state as it comes, and None about once a second without one. Ends after `within` seconds."""
        deadline = None if within is None else time.monotonic() + within
        while True:
            left = TICK if deadline is None else min(TICK, deadline - time.monotonic())
            if left <= 0:
                return
            try:
                state = self._states.get(timeout=left)
            except Empty:
                if not self._thread.is_alive():
                    raise Unreachable("the watch has broken off; start again") from None
                yield None
                continue
            if isinstance(state, Complaint):
                raise state
            yield state

    def _run(self) -> None:
        """Runs until `__exit__`, or until an error that no retry mends."""
        failures = 0
        while not self._over.is_set():
            try:
                self._read_and_watch()
                failures = 0
            except Expired:
                failures = 0
            except Unreachable as error:
                self._states.put(Trouble(str(error)))
                failures += 1
            except Complaint as error:
                self._states.put(error)
                return
            self._over.wait(PAUSES.delay(failures, 1.0) if failures else 0.1)

    def _read_and_watch(self) -> None:
        """Reads the object, and watches it from that version on."""
        service = self._cluster.get(self._name)
        self._states.put(service)
        for changed in self._cluster.watch(service):
            self._states.put(changed)
            if self._over.is_set():
                return
