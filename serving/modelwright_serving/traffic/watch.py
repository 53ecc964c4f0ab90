"""Reads the traffic rule's file again whenever it changes. What the rule does is left to `delegation`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from modelwright_serving import logs
from modelwright_serving.traffic.rule import MAX_BYTES, Rule, RuleError, parse

# A look at a file in memory; the kubelet replaces it within a second.
_SECONDS = 0.2

Stamp = tuple[int, int, int] | None


class Watch:
    """Looks at one file for ever. A file that is not there, or empty, is no rule; a broken one changes nothing."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        path: Path,
        follow: Callable[[Rule | None], None],
        complain: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._path = path
        self._follow = follow
        self._complain = complain
        self._seen: Stamp = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look now, so that the first request already follows the rule, and then again and again."""
        self._look()
        self._timer = self._loop.call_later(_SECONDS, self.start)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            rule = None if stamp is None else parse(self._content())
        except (RuleError, OSError) as problem:
            logs.event("traffic rule ignored", path=str(self._path), problem=f"it {problem}")
            self._complain()
            return
        logs.event(
            "traffic rule", **({} if rule is None else {"revision": rule.revision, "weight": rule.weight})
        )
        self._follow(rule)

    def _stamp(self) -> Stamp:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _content(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
