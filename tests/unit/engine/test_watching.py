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
from modelwright.engine.errors import Forbidden
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import Key, ResourceType
from modelwright.engine.streams import Gone, Source
from modelwright.engine.watching import Around, Watcher

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
        watcher = Watcher(KINDS, Around(self.intake, Client(Configuration()), Configuration()))
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


class Namespaces:
    """An API server where the rights in each namespace are what the test says, and whose lists arrive at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *scope: str) -> None:
        self.allowed: set[str] = set()
        self.broken: dict[str, Exception] = {}
        self.breaks = {name: asyncio.Event() for name in (*scope, "")}
        self.watched: dict[str, bool] = {}
        self.woken: list[Key] = []
        self.intake = Intake(KINDS, self.woken.append, scope)
        around = Around(self.intake, Client(Configuration()), Configuration(), self.watched.__setitem__)
        self.watcher = Watcher(KINDS, around, scope)
        monkeypatch.setattr(Client, "serves", lambda _self, _resource, namespace: self._serves(namespace))
        monkeypatch.setattr(watching, "Streams", self._streams)
        monkeypatch.setattr(watching, "LOOK_PAUSE", 0.001)

    async def _serves(self, namespace: str | None) -> bool:
        if namespace is not None and namespace not in self.allowed:
            raise Forbidden(f"not in {namespace}")
        return True

    def _streams(
        self, kinds: Sequence[Kind], source: Source, filled: Callable[[ResourceType], None]
    ) -> _Breakable:
        return _Breakable(self, kinds, source.namespace or "", filled)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.watcher.run())
        yield task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Breakable:
    """The watches of some kinds in a namespace; everything is listed at once, and they break when the test says so."""

    def __init__(
        self, world: Namespaces, kinds: Sequence[Kind], name: str, filled: Callable[[ResourceType], None]
    ) -> None:
        self.world, self.kinds, self.name, self.filled = world, kinds, name, filled

    async def run(self, _started: Callable[[], None]) -> None:
        for kind in self.kinds:
            self.filled(kind.resource)
        await self.world.breaks[self.name].wait()
        raise self.world.broken[self.name]


async def test_a_namespace_that_cannot_be_watched_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = Namespaces(monkeypatch, "shop", "nowhere")
    world.allowed = {"shop"}
    async with world.running():
        await asyncio.wait_for(world.watcher.wait_filled(), 5)
        assert world.watched == {"shop": True, "nowhere": False}
        assert (world.watcher.sees("shop"), world.watcher.sees("nowhere")) == (True, False)
        assert world.watcher.unfilled == [], "it is ready for the others"
        assert world.intake.blindness(TOYS, "nowhere") == "Forbidden"
        assert world.intake.blindness(TOYS, "shop") is None
        assert world.intake.blindness(TOYS, None) == "Forbidden", "what rests on all namespaces waits"
    said = "namespace nowhere is not watched: the operator may not list toys: is the namespace there"
    assert sum(said in record.message for record in caplog.records) == 1, "it is said once"


async def test_a_namespace_that_comes_is_watched_and_all_in_it_is_planned_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = Namespaces(monkeypatch, "shop", "later")
    world.allowed = {"shop"}
    key = toy_key("churn", "later")
    async with world.running():
        await until(lambda: world.watched == {"shop": True, "later": False})
        world.intake.put(TOYS, FakeApi().put(key, toy()))
        world.woken.clear()
        world.allowed.add("later")
        await until(lambda: world.watched["later"])
        assert key in world.woken
        assert world.watcher.sees("later")
        assert world.intake.blindness(TOYS, None) is None


async def test_a_namespace_whose_watches_break_keeps_what_is_known_and_is_not_planned_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = Namespaces(monkeypatch, "shop", "infra")
    world.allowed = {"shop", "infra"}
    key = toy_key("churn", "shop")
    async with world.running() as task:
        await asyncio.wait_for(world.watcher.wait_filled(), 5)
        world.intake.put(TOYS, FakeApi().put(key, toy()))
        world.allowed.discard("shop")
        world.broken["shop"] = Forbidden("any more")
        world.breaks["shop"].set()
        await until(lambda: not world.watched["shop"])
        assert not world.watcher.sees("shop")
        assert world.intake.get(key) is not None
        assert world.intake.blindness(TOYS, "shop") == "Forbidden"
        assert world.watcher.sees("infra")
        world.breaks["shop"].clear()
        world.allowed.add("shop")
        await until(lambda: world.watched["shop"])
        assert not task.done()
    assert "namespace shop is not watched: its watches ended: Forbidden: any more" in caplog.text


async def test_without_any_namespace_that_can_be_watched_it_is_not_ready_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = Namespaces(monkeypatch, "shop")
    async with world.running():
        await until(lambda: world.watcher.unfilled != ["ConfigMap", "Toy"])
        (why,) = world.watcher.unfilled
    assert why.startswith("the operator may not list toys")


async def test_a_watch_of_all_namespaces_that_breaks_for_good_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = Namespaces(monkeypatch)
    world.broken[""] = RuntimeError("Error in the watch-stream")
    async with world.running() as task:
        await asyncio.wait_for(world.watcher.wait_filled(), 5)
        world.breaks[""].set()
        await asyncio.wait([task], timeout=5)
        with pytest.raises(RuntimeError, match="watch-stream"):
            task.result()
