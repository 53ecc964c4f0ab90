"""HTTP to servers that are not trusted: bounded, without redirects, cookies or compression."""

from __future__ import annotations

import asyncio

import aiohttp

from modelwright.engine.connector import Connector
from modelwright.sampling.loop import NoAnswer

# No timeouts of aiohttp: the loop has a timeout for each request.
UNLIMITED = aiohttp.ClientTimeout(total=None)


def session(*, reuse: bool) -> aiohttp.ClientSession:
    """Returns a session. `reuse`: whether a connection is used for several requests."""
    return aiohttp.ClientSession(
        connector=Connector(force_close=not reuse, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        timeout=UNLIMITED,
        auto_decompress=False,
        trust_env=False,
    )


async def from_pod(
    client: aiohttp.ClientSession, host: str, port: int, path: str, most: int
) -> tuple[int, bytes]:
    """Returns the status and the body of what a pod answers to GET; the body only with status 200, at most `most` bytes
    of it.

    Raises NoAnswer if there is none.
    """
    host = f"[{host}]" if ":" in host else host
    try:
        async with client.get(f"http://{host}:{port}{path}", allow_redirects=False) as answer:
            return answer.status, await body(answer, most) if answer.status == 200 else b""
    except (aiohttp.ClientConnectorError, OSError) as error:
        raise NoAnswer("it cannot be connected to") from error
    except aiohttp.ClientError as error:
        raise NoAnswer("its answer is not HTTP, or breaks off") from error


class TooLarge(NoAnswer):
    """The answer is larger than the limit."""


async def body(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Returns the whole body of an answer. Raises TooLarge if it has more than `most` bytes."""
    try:
        await answer.content.readexactly(most + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    raise TooLarge(f"its answer has more than {most} bytes")
