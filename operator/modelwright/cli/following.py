"""Follows one InferenceService for as long as somebody wants to know: reads it, watches it, and starts again.

A thread does the waiting for the API server, so that the one who looks has a clock that ticks and a Ctrl-C that works.
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
    """Why nothing new is seen at the moment; it is tried again."""

    message: str


Seen = InferenceService | Trouble


class Following:
    """The states of an InferenceService from now on; to be used in a `with`."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._name = cluster, name
        self._found: Queue[Seen | Complaint] = Queue()
        self._over = Event()
        self._thread = Thread(target=self._run, name="following", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the watch; again and again, as the thread may be about to begin one."""
        self._over.set()
        deadline = time.monotonic() + PATIENCE
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._cluster.stop()
            self._thread.join(0.02)

    def states(self, within: float | None = None) -> Iterator[Seen | None]:
        """Each state as it comes, and None as time goes by; ends after `within` seconds."""
        deadline = None if within is None else time.monotonic() + within
        while True:
            left = TICK if deadline is None else min(TICK, deadline - time.monotonic())
            if left <= 0:
                return
            try:
                found = self._found.get(timeout=left)
            except Empty:
                if not self._thread.is_alive():
                    raise Unreachable("the watch has broken off; start again") from None
                yield None
                continue
            if isinstance(found, Complaint):
                raise found
            yield found

    def _run(self) -> None:
        """Goes on until somebody ends it, or the API server says what no patience mends."""
        failures = 0
        while not self._over.is_set():
            try:
                self._look()
                failures = 0
            except Expired:
                failures = 0
            except Unreachable as error:
                self._found.put(Trouble(str(error)))
                failures += 1
            except Complaint as error:
                self._found.put(error)
                return
            self._over.wait(PAUSES.delay(failures, 1.0) if failures else 0.1)

    def _look(self) -> None:
        """Reads it, and watches it from there."""
        seen = self._cluster.get(self._name)
        self._found.put(seen)
        for changed in self._cluster.watch(seen):
            self._found.put(changed)
            if self._over.is_set():
                return
