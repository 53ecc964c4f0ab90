"""What is not listed yet is not missing: an optional kind counts as seen when all there is of it is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from fakes.api import FakeApi
from fakes.objects import MAPS, TOYS, plan_toy, toy, toy_key
from fakes.places import until
from kubernetes.aio.client import Configuration

from modelwright.engine import watching
from modelwright.engine.client import Client
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import Key, ResourceType
from modelwright.engine.streams import Gone, Source
from modelwright.engine.watching import Watcher

OPTIONAL = Kind(MAPS, optional=True, needed=lambda _: True)
KINDS = (Kind(TOYS, plan_toy), OPTIONAL)


class Server:
    """An API server that has kinds, and whose lists arrive when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.serves: set[ResourceType] = {TOYS}
        self.filled: dict[ResourceType, Callable[[ResourceType], None]] = {}
        self.gone = asyncio.Event()
        self.woken: list[Key] = []
        self.intake = Intake(KINDS, self.woken.append)
        monkeypatch.setattr(Client, "serves", lambda _self, resource, _namespace: self._serves(resource))
        monkeypatch.setattr(watching, "Streams", self._streams)
        monkeypatch.setattr(watching, "LOOK_PAUSE", 0.001)

    async def _serves(self, resource: ResourceType) -> bool:
        return resource in self.serves

    def _streams(self, kinds: Sequence[Kind], _: Source, filled: Callable[[ResourceType], None]) -> _Watches:
        return _Watches(self, kinds, filled)

    def lists(self, resource: ResourceType) -> None:
        """All there is of a kind is in the cache."""
        self.filled[resource](resource)

    def blindness(self) -> str | None:
        """Why nothing is known of the optional kind."""
        return self.intake.blindness(MAPS, "shop")

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Watcher]:
        """While the kinds are watched."""
        watcher = Watcher(KINDS, self.intake, Client(Configuration()), Configuration())
        running = asyncio.create_task(watcher.run())
        try:
            yield watcher
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class _Watches:
    """The watches of some kinds, until they are gone."""

    def __init__(self, server: Server, kinds: Sequence[Kind], filled: Callable[[ResourceType], None]) -> None:
        self.server, self.kinds = server, kinds
        server.filled |= {kind.resource: filled for kind in kinds}

    async def run(self, _started: Callable[[], None]) -> None:
        if OPTIONAL not in self.kinds:
            await asyncio.Event().wait()
        await self.server.gone.wait()
        self.server.gone.clear()
        raise Gone


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


async def test_an_optional_kind_that_comes_late_stays_unseen_until_it_is_listed(server: Server) -> None:
    async with server.watched():
        await until(lambda: server.blindness() == "Unserved")
        server.serves.add(MAPS)
        await until(lambda: MAPS in server.filled)
        await asyncio.sleep(0.01)
        assert server.blindness() == "Unserved", "it is served, and nothing of it is listed"

        server.lists(MAPS)
        assert server.blindness() is None


async def test_who_may_need_it_is_woken_when_it_is_listed(server: Server) -> None:
    server.intake.put(TOYS, FakeApi().put(toy_key(), toy()))
    async with server.watched():
        await until(lambda: server.blindness() == "Unserved")
        server.serves.add(MAPS)
        await until(lambda: MAPS in server.filled)
        server.woken.clear()
        server.lists(MAPS)

    assert server.woken == [toy_key()]


async def test_work_begins_when_each_kind_is_listed_or_known_to_be_missing(server: Server) -> None:
    async with server.watched() as watcher:
        await until(lambda: TOYS in server.filled)
        await until(lambda: watcher.unfilled == ["Toy"])
        server.lists(TOYS)
        await asyncio.wait_for(watcher.wait_filled(), 5)


async def test_an_optional_kind_that_is_there_is_waited_for_too(server: Server) -> None:
    server.serves.add(MAPS)
    async with server.watched() as watcher:
        await until(lambda: MAPS in server.filled)
        server.lists(TOYS)
        assert watcher.unfilled == ["ConfigMap"]


async def test_a_kind_that_went_and_came_back_is_unseen_until_it_is_listed_again(server: Server) -> None:
    server.serves.add(MAPS)
    async with server.watched():
        await until(lambda: {TOYS, MAPS} <= server.filled.keys())
        server.lists(MAPS)
        server.serves.discard(MAPS)
        server.gone.set()
        await until(lambda: server.blindness() == "Unserved")
        del server.filled[MAPS]

        server.serves.add(MAPS)
        await until(lambda: MAPS in server.filled)
        assert server.blindness() == "Unserved"
