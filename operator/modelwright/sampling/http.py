"""Requests to addresses that are not ours: bounded, without redirects, cookies or compression."""

from __future__ import annotations

import asyncio

import aiohttp

from modelwright.engine.connector import Connector
from modelwright.sampling.loop import NoAnswer

# An aiohttp session's own limits are off: the loop has one for each question.
UNLIMITED = aiohttp.ClientTimeout(total=None)


def session(*, reuse: bool) -> aiohttp.ClientSession:
    """A session whose connections end with it. `reuse`: whether a connection serves several requests."""
    return aiohttp.ClientSession(
        connector=Connector(force_close=not reuse, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        timeout=UNLIMITED,
        auto_decompress=False,
        trust_env=False,
    )


class TooLarge(NoAnswer):
    """An answer that is larger than any honest one."""


async def body(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body of an answer; TooLarge if it is larger than that."""
    try:
        await answer.content.readexactly(most + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    raise TooLarge(f"its answer has more than {most} bytes")
