"""The order in which the versions of a model were made. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, created, name

_NEVER = datetime.min.replace(tzinfo=UTC)


def oldest_first(versions: Iterable[Body]) -> tuple[Body, ...]:
    """The versions of a family in the order in which they were made.

    A backup tool restores objects with new creation timestamps, in any order. So the versions of one TrainingJob are in
    the order of their runs. All others are ordered by lineage.completionTime, which a backup keeps, or else by their
    creation timestamp.
    """
    runs: dict[str, list[tuple[int, datetime, Body]]] = defaultdict(list)
    aged: list[tuple[datetime, int, str, Body]] = []
    for version in versions:
        lineage = version["spec"].get("lineage") or {}
        job, run, when = lineage.get("trainingJob"), int(lineage.get("run") or 0), made(version)
        if job and run:
            runs[job].append((run, when, version))
        else:
            aged.append((when, run, name(version), version))
    for numbered in runs.values():
        newest = _NEVER
        for run, when, version in sorted(numbered, key=lambda each: each[:2]):
            newest = max(newest, when)
            aged.append((newest, run, name(version), version))
    return tuple(version for *_, version in sorted(aged, key=lambda each: each[:3]))


def made(version: Body) -> datetime:
    """When a version was made; the earliest time there is if neither of its times can be read."""
    lineage = version["spec"].get("lineage") or {}
    for text in (lineage.get("completionTime"), created(version)):
        try:
            moment = from_timestamp(str(text))
        except ValueError:
            continue
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return _NEVER
