"""The garbage collector rests while the cache is filled, and works afterwards."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from modelwright.engine import collector
from modelwright.engine.collector import spare


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


async def test_it_rests_until_the_cache_is_filled_and_never_walks_what_is_there_by_then() -> None:
    filled = asyncio.Event()
    frozen = gc.get_freeze_count()
    sparing = asyncio.create_task(_spared(filled))
    await asyncio.sleep(0)
    assert not gc.isenabled()

    filled.set()
    await sparing
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen


async def test_it_works_again_where_a_kind_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "PATIENCE", 0.0)
    await _spared(asyncio.Event())

    assert gc.isenabled()


async def test_it_works_again_when_the_operator_ends_first() -> None:
    sparing = asyncio.create_task(_spared(asyncio.Event()))
    await asyncio.sleep(0)
    sparing.cancel()
    await asyncio.gather(sparing, return_exceptions=True)

    assert gc.isenabled()


async def _spared(filled: asyncio.Event) -> None:
    async def wait() -> None:
        await filled.wait()

    await spare(wait)
