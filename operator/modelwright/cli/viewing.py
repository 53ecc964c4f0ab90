"""The ways to look on while a rollout goes: a page on a terminal, lines for a log, JSON for a program."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Protocol

from modelwright.cli import screen
from modelwright.cli.changes import changes
from modelwright.cli.document import document
from modelwright.view.drawing import picture
from modelwright.view.model import InferenceService


class View(Protocol):
    """Somebody who looks on."""

    def page(self) -> AbstractContextManager[None]:
        """What it takes while it goes on."""
        ...

    def state(self, seen: InferenceService) -> None:
        """A state that may be new."""
        ...

    def trouble(self, message: str) -> None:
        """Nothing new is seen, for a reason."""
        ...

    def tick(self) -> None:
        """Time has gone by."""
        ...

    def end(self) -> None:
        """It is over; the page is gone."""
        ...


class Page:
    """Draws the whole picture anew, every second, so that its clocks go."""

    def __init__(self) -> None:
        self._seen: InferenceService | None = None
        self._trouble = ""

    def page(self) -> AbstractContextManager[None]:
        return screen.canvas()

    def state(self, seen: InferenceService) -> None:
        self._seen, self._trouble = seen, ""
        self.tick()

    def trouble(self, message: str) -> None:
        self._trouble = f"{message}; trying again"
        self.tick()

    def tick(self) -> None:
        drawn = picture(self._seen, now()) if self._seen else []
        screen.draw([*drawn, "", self._trouble] if self._trouble else drawn)

    def end(self) -> None:
        if self._seen is not None:
            screen.say(picture(self._seen, now()))


class Log:
    """A line for each change."""

    def __init__(self) -> None:
        self._before: InferenceService | None = None

    def page(self) -> AbstractContextManager[None]:
        return nullcontext()

    def state(self, seen: InferenceService) -> None:
        screen.say(changes(self._before, seen, now()))
        self._before = seen

    def trouble(self, message: str) -> None:
        screen.tell(f"{message}; trying again")

    def tick(self) -> None:
        """A log has no clock."""

    def end(self) -> None:
        """All is said."""


class Documents(Log):
    """A JSON document for each change, on a line of its own."""

    def state(self, seen: InferenceService) -> None:
        if self._before is None or document(self._before) != document(seen):
            screen.say([json.dumps(document(seen))])
        self._before = seen


def view(output: str) -> View:
    """How to look on, by what was asked for and where it goes."""
    if output == "json":
        return Documents()
    return Page() if screen.is_terminal() else Log()


def now() -> datetime:
    """The moment."""
    return datetime.now(UTC)
