"""A family, which is all versions of a model: their order, the Champion, and the aliases of each. Pure.

Aliases follow from the ModelVersions and InferenceServices of the namespace, and are stored nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from modelwright.common.indexes import (
    CHALLENGER,
    CHAMPION,
    LEADING,
    PREVIOUS,
    SERVICES_IN_ROLE,
    VERSIONS_OF_MODEL,
    in_role,
)
from modelwright.common.standing import is_ready
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, created, deleting, name, namespace

LATEST = "Latest"
# The most aliases of a version. With more services the last ones are left out.
MOST_ALIASES = 16
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Family:
    """The versions of a model, the oldest first. `places`: the place of each by its name.

    `newest_ready`: the newest one that is Ready; None if none is.
    """

    versions: tuple[Body, ...]
    places: dict[str, int]
    newest_ready: Body | None


def family(view: View, where: str, model: str) -> Family:
    """Returns the versions of a model in a namespace."""
    return view.computed(VERSIONS_OF_MODEL, where, model, lined_up)


def lined_up(versions: Sequence[Body]) -> Family:
    """Returns the family of these versions."""
    ordered = oldest_first(versions)
    ready = (version for version in reversed(ordered) if is_ready(version) and not deleting(version))
    return Family(ordered, {name(version): place for place, version in enumerate(ordered)}, next(ready, None))


def champion(view: View, where: str, model: str) -> Body | None:
    """Returns the version that a new one is compared with: the newest that a service has as its stable revision, or
    else the newest that is Ready; None if there is neither."""
    known = family(view, where, model)
    return next(_holders(view, where, known, CHAMPION), known.newest_ready)


def led_by(view: View, where: str, model: str) -> Body | None:
    """Returns the version that services with `track: Champion` follow: the newest that another service has as its
    stable revision; None if there is none.

    Services that follow the Champion themselves do not count, or two of them would follow each other.
    """
    return next(_holders(view, where, family(view, where, model), LEADING), None)


def aliases(view: View, version: Body, *, ready: bool) -> list[str]:
    """Returns the aliases of a version. `ready`: whether it is Ready now, whatever its status still says.

    Of Champion, Challenger and Previous each belongs to the newest version that has the role at a service. Where the
    services of the family have different ones, each of them has the alias with the name of the service too:
    Champion@SERVICE.
    """
    where, known = namespace(version), family(view, namespace(version), str(version["spec"]["model"]))
    plain, qualified = [], []
    for role in (CHAMPION, CHALLENGER, PREVIOUS):
        services = _services(view, where, role, name(version))
        if not services:
            continue
        first, *others = _some(_holders(view, where, known, role), 2)
        if name(first) == name(version):
            plain.append(role)
        if others:
            qualified += [f"{role}@{service}" for service in services]
    if ready and not deleting(version) and _is_newest(known, version):
        plain.append(LATEST)
    return [*plain, *qualified][:MOST_ALIASES]


def _is_newest(known: Family, version: Body) -> bool:
    """True if no version that is Ready is newer."""
    newest = known.newest_ready
    return newest is None or known.places[name(newest)] <= known.places[name(version)]


def _holders(view: View, where: str, known: Family, role: str) -> Iterator[Body]:
    """Yields the versions that have a role at a service, the newest first."""
    for version, place in reversed(known.places.items()):
        if _services(view, where, role, version):
            yield known.versions[place]


def _services(view: View, where: str, role: str, version: str) -> Collection[str]:
    """The names of the services at which a version has a role."""
    return view.computed(SERVICES_IN_ROLE, where, in_role(role, version), _first_names)


def _first_names(services: Sequence[Body]) -> tuple[str, ...]:
    return tuple(name(service) for service in services[:MOST_ALIASES])


def _some(versions: Iterator[Body], most: int) -> list[Body]:
    return [version for version, _ in zip(versions, range(most), strict=False)]


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
