"""Watches some kinds with kopf, and fills by lists of our own what watches cannot tell.

kopf says neither when its first listing is complete, nor, after a gap in a watch, what went while nobody looked.
Both have one cure. Whenever kopf has listed a kind and its watch stands, we list the kind ourselves: what is not
in that list is gone, and what changes after it the watch will tell. Handlers only take bodies in; kopf writes
nothing. Which kinds there are to watch is left to `watching`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf
from kubernetes.aio.client import Configuration

from modelwright.engine import connection
from modelwright.engine.backoff import Forever
from modelwright.engine.client import Client
from modelwright.engine.errors import ApiError
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import ResourceType

logger = logging.getLogger(__name__)

# Between two lists of our own of one kind.
LIST_PAUSE = 2.0
END_PATIENCE = 4.0
# How long an optional kind that the API server has may be missing from what kopf finds there.
LISTING_PATIENCE = 30.0


class NoDiff(kopf.DiffBaseStorage):
    """kopf remembers nothing of an object: no copies, no annotations."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """The part of the object that kopf would compare: none."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """What kopf remembers: nothing."""
        return None

    def store(self, **_: Any) -> None:
        """Stores nothing."""


class Gone(Exception):  # noqa: N818 - it says what became of the kind
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
        try:
            running.update(await self._start_kopf())
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

    async def _start_kopf(self) -> Collection[asyncio.Task[Any]]:
        """kopf's tasks. They are ours to wait for and to end: kopf's own way of doing so takes every other task of
        the process down with it, and can wait for ever for a watch that broke."""
        scope: dict[str, Any] = (
            {"namespaces": [self._source.namespace]} if self._source.namespace else {"clusterwide": True}
        )
        return await kopf.spawn_tasks(
            registry=self._registry(),
            settings=self._settings(),
            # kopf's own choice asks for the name of the user, and a container's user has none.
            identity="modelwright",  # type: ignore[arg-type]  # kopf does not export the type
            standalone=True,
            **scope,
        )

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

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._log_in)
        for kind in self._kinds:
            resource = kind.resource
            kopf.on.event(
                group=resource.group,
                version=resource.version,
                plural=resource.plural,
                id=f"watch-{resource.plural}",
                registry=registry,
            )(self._handler(resource))
        return registry

    def _handler(self, resource: ResourceType) -> Callable[..., Any]:
        async def take_in(event: Mapping[str, Any], **_: Any) -> None:
            if event["type"] == "DELETED":
                self._source.intake.remove(resource, event["object"])
            else:
                self._source.intake.put(resource, event["object"])

        return take_in

    async def _log_in(self, **_: Any) -> kopf.AiohttpSession:
        session = connection.session(self._source.configuration, self._note)
        return kopf.AiohttpSession(server=self._source.configuration.host, aiohttp_session=session)

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

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.peering.standalone = True
        settings.scanning.disabled = True
        settings.posting.enabled = False
        settings.process.ultimate_exiting_timeout = None
        settings.networking.connect_timeout = 10
        settings.networking.request_timeout = 30
        settings.networking.error_backoffs = Forever()
        settings.watching.connect_timeout = 10
        settings.watching.server_timeout = 240
        settings.watching.client_timeout = 270
        settings.watching.chunk_size = 500
        settings.queueing.idle_timeout = 1
        settings.persistence.finalizer = "modelwright.dev/never-added"
        settings.persistence.diffbase_storage = NoDiff()
        for kind in self._kinds:
            if kind.selector:
                where = kind.resource.group, kind.resource.version, kind.resource.plural
                settings.watching.label_selectors[where] = kind.selector
        return settings


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Ends tasks, and waits for them only so long."""
    for _ in range(2):  # what is busy cleaning up is asked twice
        for task in tasks:
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=END_PATIENCE)
        if not pending:
            return
    logger.warning("did not end: %s", ", ".join(task.get_name() for task in pending))
