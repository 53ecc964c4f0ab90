"""Watches some kinds with kopf, and lists them where kopf's watches are not enough.

kopf reports neither the end of its first list nor deletions during a gap in a watch, and handles all objects of a list
at once. So kopf's own lists are kept empty by a selector: they only give the version from which it watches. Once its
watch is open, the kind is listed here. An object that is not in this list is gone, and the watch reports what changes
after it. `watching` decides which kinds to watch.
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
from modelwright.engine.errors import ApiError, Forbidden
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import ResourceType

logger = logging.getLogger(__name__)

# Seconds between two lists of one kind.
LIST_PAUSE = 2.0
END_PATIENCE = 4.0
# How long kopf may miss an optional kind that the API server serves.
LISTING_PATIENCE = 30.0


# No object has this name: names hold no capitals.
NOTHING = "metadata.name=NONE"


class Gone(Exception):  # noqa: N818 - not an error: the watches of the kind end
    """The API server does not serve a kind any more."""


@dataclass(frozen=True)
class Source:
    """The API server to watch, all namespaces at once or one, and the intake that receives the objects."""

    intake: Intake
    client: Client
    configuration: Configuration
    namespace: str | None = None


class Streams:
    """The watches of some kinds. `filled` is called for each kind when all of its objects are in the cache."""

    def __init__(self, kinds: Sequence[Kind], source: Source, filled: Callable[[ResourceType], None]) -> None:
        self._kinds = list(kinds)
        self._source = source
        self._filled = filled
        self._listed_by_kopf: set[ResourceType] = set()
        self._never_listed = {kind.resource for kind in kinds if kind.optional}
        self._gone: set[ResourceType] = set()
        self._refused = asyncio.Event()
        self._due = {kind.resource: asyncio.Event() for kind in kinds}

    async def run(self, started: Callable[[], None]) -> None:
        """Watches until cancelled. Raises Gone when the API server stops serving a kind, Forbidden when a right in the
        namespace is missing, and the error when a watch breaks for good. Calls `started` when kopf has installed its
        signal handlers."""
        running: set[asyncio.Task[Any]] = {
            asyncio.create_task(self._keep_listed(kind), name=f"list {kind.resource.plural}")
            for kind in self._kinds
        }
        running.add(asyncio.create_task(self._expire_unlisted(), name="first lists"))
        running.add(asyncio.create_task(self._end_refused(), name="refusals"))
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

    async def _expire_unlisted(self) -> None:
        """Ends the watches if kopf has not listed an optional kind in time, so that they are started again.

        kopf watches only kinds that the API server's discovery lists when kopf starts. A new kind can be in use a
        moment before discovery lists it.
        """
        await asyncio.sleep(LISTING_PATIENCE)
        self._gone |= self._never_listed
        if not self._gone:
            await asyncio.Event().wait()

    async def _end_refused(self) -> None:
        """Ends the watches of one namespace when the API server refuses one of them: kopf would try it without end, and
        what is known would grow old unnoticed. A missing right to watch all namespaces is waited out."""
        await self._refused.wait()
        raise Forbidden("the operator may not watch all kinds there any more")

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
                pages = self._source.client.pages(
                    kind.resource, self._source.namespace, selector=kind.selector
                )
                await self._source.intake.take_list(kind.resource, pages, self._source.namespace)
            except ApiError as error:
                if self._source.namespace is not None and isinstance(error, Forbidden):
                    raise  # the watches of this namespace end, those of others go on
                logger.warning("listing %s: %s; next try in %.0f s", kind.resource.plural, error, delay)
                await asyncio.sleep(delay)
            else:
                return

    async def _note(
        self, request: aiohttp.ClientRequest, handler: connection.Handler
    ) -> aiohttp.ClientResponse:
        """Follows kopf's requests: keeps its lists empty, and notices when its watch is open after a list."""
        resource = self._kind_at(request.url.path)
        if resource is not None and "watch" not in request.url.query:
            request.url = request.url.update_query(fieldSelector=NOTHING)
        response = await handler(request)
        if resource is not None and response.status == 403 and self._source.namespace is not None:
            self._refused.set()
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
        """The kind whose collection has this path. The API server's URL may put a prefix before it."""
        namespace = self._source.namespace
        return next((k.resource for k in self._kinds if path.endswith(k.resource.path(namespace))), None)


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits for them, for a bounded time."""
    for _ in range(2):  # a task can swallow the first cancellation while it cleans up
        for task in tasks:
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=END_PATIENCE)
        if not pending:
            return
    logger.warning("did not end: %s", ", ".join(task.get_name() for task in pending))
