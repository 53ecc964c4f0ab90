"""Reads from the three resources how far the example is. Pure: it is handed objects and gives lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """What is to be said of one object; said once, until it changes."""

    kind: str
    name: str
    reason: str
    message: str

    def text(self, seconds: float) -> str:
        """The line as it is printed."""
        return f"{seconds:7.1f} s  {self.kind:<16} {self.name:<18} {self.reason:<16} {self.message}".rstrip()


@dataclass(frozen=True)
class Seen:
    """The objects of the example; None where one is not there yet."""

    job: Object | None
    version: Object | None
    service: Object | None

    def there(self) -> Iterable[Object]:
        """Those that are there, in the order in which they become ready."""
        return (found for found in (self.job, self.version, self.service) if found is not None)


@dataclass(frozen=True)
class Served:
    """The run and the version that it ended in, which is the one that is served."""

    run: Object
    version: Object


def condition(found: Object | None, kind: str) -> Object | None:
    """A condition that was said of the newest spec."""
    if found is None:
        return None
    generation = found["metadata"].get("generation", 0)
    conditions: list[Object] = found.get("status", {}).get("conditions") or []
    said = (c for c in conditions if c["type"] == kind and c.get("observedGeneration") == generation)
    return next(said, None)


def holds(found: Object | None, kind: str) -> bool:
    """Whether a condition is true of the newest spec."""
    said = condition(found, kind)
    return said is not None and said["status"] == "True"


def lines(seen: Seen) -> list[Line]:
    """What there is to say of each object."""
    return [_line(found) for found in seen.there()]


def _line(found: Object) -> Line:
    kind, name, ready = found["kind"], found["metadata"]["name"], condition(found, "Ready")
    if ready is None:
        return Line(kind, name, "Created", "")
    reason = "Ready" if ready["status"] == "True" else ready["reason"]
    return Line(kind, name, reason, ready["message"])


def newest_version(job: Object | None) -> str | None:
    """The ModelVersion that the job's newest spec ended in."""
    if job is None or not holds(job, "Ready"):
        return None
    name: str | None = job["status"].get("latestModelVersion")
    return name


def finished(seen: Seen) -> Served | None:
    """The end: the service serves what the job made."""
    if seen.job is None or seen.version is None or seen.service is None:
        return None
    stable = seen.service.get("status", {}).get("stable") or {}
    serves_newest = stable.get("version") == newest_version(seen.job) == seen.version["metadata"]["name"]
    if serves_newest and holds(seen.version, "Ready") and holds(seen.service, "Ready"):
        return Served(seen.job["status"]["run"], seen.version)
    return None


def stuck(seen: Seen) -> Object | None:
    """An object that will not go on before somebody changes something."""
    return next((found for found in seen.there() if holds(found, "Stalled")), None)
