"""The election goes on beside the work, whatever the operator's event loop does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes.api import FakeApi
from fakes.places import until

from modelwright.engine import election as module
from modelwright.engine import lease
from modelwright.engine.election import HUNG, Election
from modelwright.engine.lease import LEASES
from modelwright.engine.objects import Body, Key

KEY = Key(LEASES, "system", "operator")
PATIENCE = 20


class Server(FakeApi):
    """An API server that counts renewals, and the threads that they come from."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        self.renewed = threading.Semaphore(0)
        self.closed = False

    async def replace(self, key: Key, body: Body) -> Body:
        self.threads.add(threading.get_ident())
        answer = await super().replace(key, body)
        self.renewed.release()
        return answer

    async def close(self) -> None:
        self.closed = True


class Stage:
    """A server, an election and the time."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.server = Server()
        self.election = Election(KEY, "me", lambda: self.server, lambda: self.time)
        self.task = asyncio.create_task(self.election.run())

    @property
    def lease(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.server.objects[KEY]["spec"]
        return spec


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(lease, "RENEW", 0.01)
    monkeypatch.setattr(module, "BEAT", 0.01)
    stage = Stage()
    async with asyncio.timeout(PATIENCE):
        await stage.election.wait_leading()
    yield stage
    await stage.election.release()
    await stage.task


async def test_the_lease_is_renewed_while_the_event_loop_is_blocked(stage: Stage) -> None:
    while stage.server.renewed.acquire(blocking=False):
        pass
    # Nothing is awaited here: the event loop stands still until the Lease was renewed three times.
    assert all(stage.server.renewed.acquire(timeout=PATIENCE) for _ in range(3))

    assert stage.election.may_write()
    assert threading.get_ident() not in stage.server.threads


async def test_an_event_loop_that_stands_still_for_long_makes_the_process_unfit(stage: Stage) -> None:
    stage.time += HUNG
    assert not stage.election._is_fit(), "nothing was awaited since"

    await until(stage.election._is_fit)


async def test_on_release_the_lease_is_free_and_nothing_may_be_written(stage: Stage) -> None:
    await stage.election.release()

    assert not stage.election.may_write()
    assert stage.lease["holderIdentity"] == ""
    assert stage.server.closed
    await stage.task
    waits = asyncio.create_task(stage.election.wait_leading())
    await asyncio.sleep(0)
    assert not waits.done()
    waits.cancel()


async def test_a_release_before_the_first_try_ends_it_too() -> None:
    stage = Stage()
    await asyncio.sleep(0)  # the thread has started
    await stage.election.release()
    await asyncio.wait_for(stage.task, PATIENCE)

    assert not stage.election.may_write()


async def test_nothing_may_be_written_before_the_election() -> None:
    election = Election(KEY, "me", Server)

    assert (election.may_write(), election.leading_for()) == (False, 0.0)


async def test_an_election_that_breaks_ends_the_operator() -> None:
    def connect() -> Server:
        raise ValueError("no such file")

    with pytest.raises(ValueError, match="no such file"):
        await asyncio.wait_for(Election(KEY, "me", connect).run(), PATIENCE)
