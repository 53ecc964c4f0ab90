"""Keeps the cache in line with the cluster: which kinds are watched, since when, and when the cache is complete.

The watches start when the API server serves all required kinds. Optional kinds come and go: each has its own watches.
One that the API server does not serve is searched for only while an object needs it. An optional kind counts as visible
only when all of its objects are in the cache: an object that is not listed yet must not be taken for missing. `streams`
watches a kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

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

# Seconds between two attempts to find a kind.
LOOK_PAUSE = 10.0


class Watcher:
    """Watches the kinds from `run` until cancelled."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        intake: Intake,
        client: Client,
        configuration: Configuration,
        namespace: str | None = None,
    ) -> None:
        self._required = [kind for kind in kinds if not kind.optional]
        self._optional = [kind for kind in kinds if kind.optional]
        self._source = Source(intake, client, configuration, namespace)
        self._unfilled = {kind.resource for kind in kinds}
        self._filled = asyncio.Event()

    @property
    def unfilled(self) -> list[str]:
        """The kinds whose objects are not all in the cache yet."""
        return sorted(resource.kind for resource in self._unfilled)

    async def wait_filled(self) -> None:
        """Returns when every object that existed at the start is in the cache."""
        await self._filled.wait()

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Watches until cancelled; raises when a watch breaks for good. Calls `started` whenever kopf has installed its
        signal handlers."""
        for kind in self._required:
            await self._find(kind.resource)
        running = {
            asyncio.create_task(self._watch(self._required, started), name="watch"),
            *(
                asyncio.create_task(self._follow(kind, started), name=f"follow {kind.resource.plural}")
                for kind in self._optional
            ),
        }
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

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
        if self._source.intake.blind(resource, why):
            states = {
                "Unserved": "is not known to the API server",
                "Forbidden": "may not be read",
                None: "is there",
            }
            logger.info("%s %s %s", resource.api_version, resource.kind, states[why])
        self._unfilled.discard(resource)
        if not self._unfilled:
            self._filled.set()

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
