"""Watches some kinds by kopf, and lists them where watches cannot tell what is there.

kopf shows neither when its first listing is complete, nor, after a gap in a watch, which objects have gone meanwhile.
One cure serves both: whenever kopf has listed a kind and its watch stands, the kind is listed here. What is not in that
list is gone, and the watch shows what changes after it. Which kinds there are to watch is left to `watching`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio.client import Configuration

from modelwright.engine import connection, kopf_watch
from modelwright.engine.backoff import Forever
from modelwright.engine.client import Client
from modelwright.engine.errors import ApiError
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import ResourceType

logger = logging.getLogger(__name__)

# Between two lists of one kind.
LIST_PAUSE = 2.0
END_PATIENCE = 4.0
# How long an optional kind that the API server has may be missing from what kopf finds there.
LISTING_PATIENCE = 30.0


class Gone(Exception):  # noqa: N818 - not an error: the watches of the kind end
    """The API server does not have a kind any more."""


@dataclass(frozen=True)
class Source:
    """The API server that is watched: all of it or one namespace, and who takes in what is seen."""

    intake: Intake
    client: Client
    configuration: Configuration
    namespace: str | None = None


class Streams:
    """The watches of some kinds. `filled` is called for each kind when all there is of it is known."""

    def __init__(self, kinds: Sequence[Kind], source: Source, filled: Callable[[ResourceType], None]) -> None:
        self._kinds = list(kinds)
        self._source = source
        self._filled = filled
        self._listed_by_kopf: set[ResourceType] = set()
        self._never_listed = {kind.resource for kind in kinds if kind.optional}
        self._gone: set[ResourceType] = set()
        self._due = {kind.resource: asyncio.Event() for kind in kinds}

    async def run(self, started: Callable[[], None]) -> None:
        """Watches until cancelled; raises when a watch breaks for good, and Gone when its kind went. `started` is
        called when kopf has put its own signal handlers up."""
        running: set[asyncio.Task[Any]] = {
            asyncio.create_task(self._keep_listed(kind), name=f"list {kind.resource.plural}")
            for kind in self._kinds
        }
        running.add(asyncio.create_task(self._be_impatient(), name="first lists"))
        source = self._source
        handlers = kopf_watch.registry(self._kinds, source.intake, source.configuration, self._note)
        try:
            running.update(
                await kopf_watch.spawn(handlers, kopf_watch.settings(self._kinds), source.namespace)
            )
            started()
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            broken = [task.exception() for task in done]
            if self._gone:
                raise Gone(", ".join(sorted(resource.kind for resource in self._gone)))
            for error in filter(None, broken):
                raise error
            raise RuntimeError(f"{', '.join(task.get_name() for task in done)} ended without being asked to")
        finally:
            await end(running)

    async def _be_impatient(self) -> None:
        """kopf watches only what the API server lists among its kinds when it starts, and a new kind can be in use
        a moment before it is listed there."""
        await asyncio.sleep(LISTING_PATIENCE)
        self._gone |= self._never_listed
        if not self._gone:
            await asyncio.Event().wait()

    async def _keep_listed(self, kind: Kind) -> None:
        due = self._due[kind.resource]
        while True:
            await due.wait()
            due.clear()
            await self._list(kind)
            self._filled(kind.resource)
            await asyncio.sleep(LIST_PAUSE)

    async def _list(self, kind: Kind) -> None:
        for delay in Forever():
            try:
                listing = await self._source.client.list(
                    kind.resource, self._source.namespace, selector=kind.selector
                )
            except ApiError as error:
                logger.warning("listing %s: %s; next try in %.0f s", kind.resource.plural, error, delay)
                await asyncio.sleep(delay)
            else:
                self._source.intake.replace(kind.resource, listing.items, listing.resource_version)
                return

    async def _note(
        self, request: aiohttp.ClientRequest, handler: connection.Handler
    ) -> aiohttp.ClientResponse:
        """Sees from kopf's requests when a kind has been listed anew and its watch stands."""
        response = await handler(request)
        resource = self._kind_at(request.url.path)
        if resource is not None and response.status == 404:
            self._gone.add(resource)
        elif resource is not None and response.status == 200:
            if "watch" not in request.url.query:
                self._never_listed.discard(resource)
                self._listed_by_kopf.add(resource)
            elif resource in self._listed_by_kopf:
                self._listed_by_kopf.discard(resource)
                self._due[resource].set()
        return response

    def _kind_at(self, path: str) -> ResourceType | None:
        """The kind whose collection has this path, behind whatever path the API server itself has."""
        found = (k.resource for k in self._kinds if path.endswith(k.resource.path(self._source.namespace)))
        return next(found, None)


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Ends tasks, and waits for them only so long."""
    for _ in range(2):  # what is busy cleaning up is asked twice
        for task in tasks:
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=END_PATIENCE)
        if not pending:
            return
    logger.warning("did not end: %s", ", ".join(task.get_name() for task in pending))
