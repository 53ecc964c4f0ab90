"""The ways to show a rollout while it runs: a page on a terminal, lines in a log, JSON for a program."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, Protocol

from modelwright.cli import screen
from modelwright.cli.changes import changes
from modelwright.cli.document import document
from modelwright.view.drawing import picture
from modelwright.view.measured import Offline
from modelwright.view.model import InferenceService


class View(Protocol):
    """Shows the states of a rollout as they come."""

    def page(self) -> AbstractContextManager[None]:
        """The context in which the states are shown."""
        ...

    def state(self, service: InferenceService, metrics: Offline) -> None:
        """Shows a state, which may be the same as before, with the metrics of its versions."""
        ...

    def trouble(self, message: str) -> None:
        """Shows why there are no new states at present."""
        ...

    def tick(self) -> None:
        """Called about once a second without a new state."""
        ...

    def end(self) -> None:
        """Called at the end, after the page was left."""
        ...


class Page:
    """Redraws the whole picture every second, to keep its durations up to date."""

    def __init__(self) -> None:
        self._seen: InferenceService | None = None
        self._metrics: Offline = {}
        self._trouble = ""

    def page(self) -> AbstractContextManager[None]:
        return screen.canvas()

    def state(self, service: InferenceService, metrics: Offline) -> None:
        self._seen, self._metrics, self._trouble = service, metrics, ""
        self.tick()

    def trouble(self, message: str) -> None:
        self._trouble = f"{message}; trying again"
        self.tick()

    def tick(self) -> None:
        drawn = picture(self._seen, now(), self._metrics) if self._seen else []
        screen.draw([*drawn, "", self._trouble] if self._trouble else drawn)

    def end(self) -> None:
        if self._seen is not None:
            screen.show(picture(self._seen, now(), self._metrics))


class Log:
    """Writes a line for each change."""

    def __init__(self) -> None:
        self._before: InferenceService | None = None

    def page(self) -> AbstractContextManager[None]:
        return nullcontext()

    def state(self, service: InferenceService, metrics: Offline) -> None:
        screen.show(changes(self._before, service, now()))
        self._before = service

    def trouble(self, message: str) -> None:
        screen.report(f"{message}; trying again")

    def tick(self) -> None:
        """Nothing: a log shows no durations that run."""

    def end(self) -> None:
        """Nothing: every change was written already."""


class Documents(Log):
    """Writes a JSON document for each change, each on its own line."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, Any] | None = None

    def state(self, service: InferenceService, metrics: Offline) -> None:
        found = document(service, metrics)
        if found != self._shown:
            screen.show([json.dumps(found)])
        self._shown = found


def view(output: str) -> View:
    """Returns the view for this output format; text depends on whether stdout is a terminal."""
    if output == "json":
        return Documents()
    return Page() if screen.is_terminal() else Log()


def now() -> datetime:
    """Returns the present time in UTC."""
    return datetime.now(UTC)
