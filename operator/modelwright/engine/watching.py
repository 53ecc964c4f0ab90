"""Keeps the cache in line with the cluster: which kinds are watched, since when, and when the cache is complete.

The watches start when the API server serves all required kinds. Optional kinds come and go: each has its own watches.
One that the API server does not serve is searched for only while an object needs it. An optional kind counts as visible
only when all of its objects are in the cache: an object that is not listed yet must not be taken for missing. `streams`
watches a kind.

All namespaces are watched at once, or some, each by itself: one that is not there, or in which a right is missing, is
tried again and again while the others are served.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes.aio.client import Configuration

from modelwright.engine.backoff import Forever
from modelwright.engine.cache import Blindness
from modelwright.engine.client import Client
from modelwright.engine.errors import ApiError, Forbidden
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import ResourceType
from modelwright.engine.streams import Gone, Source, Streams

logger = logging.getLogger(__name__)

# Seconds between two attempts to find a kind, or to watch a namespace.
LOOK_PAUSE = 10.0


def _ignore(_namespace: str, _is_watched: bool) -> None:
    """Takes no notice."""


@dataclass(frozen=True)
class Around:
    """What the watches work with. `report` takes whether a namespace of the scope is watched."""

    intake: Intake
    client: Client
    configuration: Configuration
    report: Callable[[str, bool], None] = _ignore


class Watcher:
    """Watches the kinds from `run` until cancelled, in some namespaces or (without any) in all."""

    def __init__(self, kinds: Sequence[Kind], around: Around, namespaces: Iterable[str] = ()) -> None:
        self._around = around
        self._filled = asyncio.Event()
        names: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._places = {
            name: Place(
                kinds, Source(around.intake, around.client, around.configuration, name), self._settled
            )
            for name in names
        }
        for name in filter(None, names):
            around.intake.lose(name)
            around.report(name, False)

    @property
    def unfilled(self) -> list[str]:
        """The kinds whose objects are not all in the cache yet. Namespaces that cannot be watched do not count, but if
        there is no other."""
        places = [place for place in self._places.values() if not place.trouble]
        missing = {kind for place in places for kind in place.unfilled}
        return sorted(missing) if places else sorted(place.trouble for place in self._places.values())

    def sees(self, namespace: str) -> bool:
        """Whether all objects of a namespace are in the cache, so that it can be planned for."""
        place = self._places.get(namespace)
        return place is None or place.is_filled

    async def wait_filled(self) -> None:
        """Returns when every object that existed at the start is in the cache, but for namespaces that cannot be
        watched."""
        await self._filled.wait()

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Watches until cancelled; raises when a watch of all namespaces breaks for good. Calls `started` whenever kopf
        has installed its signal handlers."""
        await _first_of(
            place.run(started) if name is None else self._keep(name, place, started)
            for name, place in self._places.items()
        )

    async def _keep(self, name: str, place: Place, started: Callable[[], None]) -> None:
        """Watches a namespace until cancelled, again and again: whatever is wrong with it does not concern others."""
        while True:
            trouble = await place.missing_rights()
            if not trouble:
                try:
                    await place.run(started)
                except Exception as error:  # noqa: BLE001 - the other namespaces go on
                    trouble = f"its watches ended: {type(error).__name__}: {error}"
            self._lose(name, place, trouble)
            await asyncio.sleep(LOOK_PAUSE)

    def _lose(self, name: str, place: Place, trouble: str) -> None:
        if place.trouble != trouble:
            logger.warning(
                "namespace %s is not watched: %s; tried again every %.0f s", name, trouble, LOOK_PAUSE
            )
        place.lose(trouble)
        self._around.intake.lose(name)
        self._around.report(name, False)
        self._settled(place)

    def _settled(self, place: Place) -> None:
        """Takes in that a place is filled, or cannot be."""
        if place.name is not None and place.is_filled:
            logger.info("namespace %s is watched", place.name)
            self._around.report(place.name, True)
            self._around.intake.wake(place.name)
        if all(each.is_filled or each.trouble for each in self._places.values()):
            self._filled.set()


class Place:
    """The watches of all kinds in a namespace, or (without a name) in all namespaces."""

    def __init__(self, kinds: Sequence[Kind], source: Source, settled: Callable[[Place], None]) -> None:
        self._required = [kind for kind in kinds if not kind.optional]
        self._optional = [kind for kind in kinds if kind.optional]
        self._source = source
        self._settled = settled
        self._unfilled = {kind.resource for kind in kinds}
        # Why it cannot be watched; empty if it can, or was not tried yet.
        self.trouble = ""

    @property
    def name(self) -> str | None:
        """The namespace; None stands for all."""
        return self._source.namespace

    @property
    def unfilled(self) -> list[str]:
        """The kinds whose objects are not all in the cache yet."""
        return sorted(resource.kind for resource in self._unfilled)

    @property
    def is_filled(self) -> bool:
        """Whether all objects are in the cache."""
        return not self._unfilled

    def lose(self, trouble: str) -> None:
        """Takes in that it cannot be watched for now."""
        self.trouble = trouble
        self._unfilled = {kind.resource for kind in (*self._required, *self._optional)}

    async def missing_rights(self) -> str:
        """What may not be listed, in words; empty if all required kinds may be."""
        refused = [
            kind.resource.plural
            for kind in self._required
            if await self._blindness(kind.resource) == "Forbidden"
        ]
        if not refused:
            return ""
        what = ", ".join(refused)
        return (
            f"the operator may not list {what}: is the namespace there, and does it have the chart's roles?"
        )

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Watches until cancelled; raises when a watch breaks for good. Calls `started` whenever kopf has installed its
        signal handlers."""
        for kind in self._required:
            await self._find(kind.resource)
        await _first_of(
            (
                self._watch(self._required, started),
                *(self._follow(kind, started) for kind in self._optional),
            )
        )

    async def _watch(self, kinds: Sequence[Kind], started: Callable[[], None]) -> None:
        await Streams(kinds, self._source, lambda resource: self._see(resource, None)).run(started)

    async def _find(self, resource: ResourceType) -> None:
        """Returns when the API server serves a required kind; kopf would ignore it for ever.

        A missing RBAC right does not block here: the watch reports it as 403.
        """
        while await self._blindness(resource) == "Unserved":
            logger.warning(
                "the API server does not know %s %s: install the CRDs (kubectl apply -f crds/)",
                resource.api_version,
                resource.kind,
            )
            await asyncio.sleep(LOOK_PAUSE)

    async def _follow(self, kind: Kind, started: Callable[[], None]) -> None:
        """Watches an optional kind while the API server serves it, and again when it is back."""
        why = await self._blindness(kind.resource)
        while True:
            if why is None:
                with contextlib.suppress(Gone):
                    await self._watch([kind], started)
            else:
                self._see(kind.resource, why)
                await asyncio.sleep(LOOK_PAUSE)
            if why is None or kind.needed(self._source.intake):
                why = await self._blindness(kind.resource)

    def _see(self, resource: ResourceType, why: Blindness | None) -> None:
        """Records why a kind is not visible, or (None) that all of its objects are in the cache."""
        if self._source.intake.blind(resource, why, self.name):
            states = {
                "Unserved": "is not known to the API server",
                "Forbidden": "may not be read",
                None: "is there",
            }
            where = "" if self.name is None else f" in namespace {self.name}"
            logger.info("%s %s %s%s", resource.api_version, resource.kind, states[why], where)
        if resource in self._unfilled:
            self._unfilled.discard(resource)
            if self.is_filled:
                self.trouble = ""
                self._settled(self)

    async def _blindness(self, resource: ResourceType) -> Blindness | None:
        for delay in Forever():
            try:
                served = await self._source.client.serves(resource, self._source.namespace)
            except Forbidden:
                return "Forbidden"
            except ApiError as error:
                logger.warning("%s: %s; next try in %.0f s", resource.kind, error, delay)
                await asyncio.sleep(delay)
            else:
                return None if served else "Unserved"
        raise AssertionError("Forever has ended")


async def _first_of(watches: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs all until one ends, raises what ended it, and ends the others."""
    running = {asyncio.create_task(watch) for watch in watches}
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
