"""Keeps the garbage collector away from the cache while it is filled.

Bodies hold no cycles and are freed without it. Yet a full collection walks all of them, and stops the event loop for
a tenth of a second for every ten thousand.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

# So many seconds at most: where a kind never comes, the collector has to work all the same.
PATIENCE = 300.0


async def spare(filled: Callable[[], Awaitable[None]]) -> None:
    """Suspends the collector until `filled` returns. What is there by then is never walked again."""
    gc.disable()
    try:
        async with asyncio.timeout(PATIENCE):
            await filled()
    except TimeoutError:
        return
    finally:
        gc.freeze()
        gc.enable()
