"""Reads the traffic rule's file again whenever it changes. `delegation` applies the rule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from modelwright_serving import logs
from modelwright_serving.limits import TRAFFIC
from modelwright_serving.traffic.rule import Rule, RuleError, parse

# A look at a file in memory; the kubelet replaces it within a second.
_SECONDS = 0.2

# A file, and what changes when it is replaced.
Stamp = tuple[Path, int, int, int]


class Watch:
    """Follows the first file that exists. No file, or an empty one, means no rule; an invalid one leaves the last rule
    in force."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        paths: Sequence[Path],
        follow: Callable[[Rule | None], None],
        count_error: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._paths = paths
        self._follow = follow
        self._count_error = count_error
        self._seen: Stamp | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Read the file now, so that the first request follows the rule, and then at intervals."""
        self._look()
        self._timer = self._loop.call_later(_SECONDS, self.start)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        rule = None
        if stamp is not None:
            try:
                rule = parse(_content(stamp[0]))
            except (RuleError, OSError) as problem:
                logs.event("traffic rule ignored", path=str(stamp[0]), problem=f"it {problem}")
                self._count_error()
                return
        logs.event("traffic rule", **_described(rule))
        self._follow(rule)

    def _stamp(self) -> Stamp | None:
        for path in self._paths:
            with suppress(OSError):
                found = path.stat()
                return path, found.st_ino, found.st_mtime_ns, found.st_size
        return None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(TRAFFIC.rule + 1)


def _described(rule: Rule | None) -> dict[str, object]:
    """What the log says of a rule; never its secret."""
    if rule is None:
        return {}
    ignored = {"ignored_fields": rule.unknown} if rule.unknown else {}
    return {"revision": rule.revision, "weight": rule.weight, **ignored}
