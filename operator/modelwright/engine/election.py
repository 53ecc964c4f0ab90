"""Takes part in the election in a thread of its own, so that renewals of the Lease do not wait behind work.

The thread has an event loop and a connection of its own. It gives the Lease up if the operator's event loop does not
turn any more: a process that can do nothing must not keep others from leading.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from modelwright.engine.api import Api
from modelwright.engine.lease import RENEW, Elector
from modelwright.engine.objects import Key

# The operator's event loop shows at this interval that it turns, in seconds.
BEAT = 1.0
# After so many seconds without a beat the Lease is not renewed.
HUNG = 60.0
# The thread ends by one request, within `RENEW` seconds.
LAST_SECONDS = RENEW + 1.0


class Connection(Api, Protocol):
    """An API server, and the connections to it."""

    async def close(self) -> None:
        """Closes the connections."""
        ...


class Election:
    """The election, as the operator's event loop sees it. `connect` is called in the thread."""

    def __init__(
        self,
        lease: Key,
        identity: str,
        connect: Callable[[], Connection],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease = lease
        self._identity = identity
        self._connect = connect
        self._clock = clock
        self._elector: Elector | None = None
        self._beat = clock()
        self._leading = asyncio.Event()
        self._is_over = False
        self._stop: Callable[[], object] = lambda: None  # known when the thread has begun
        self._ended: asyncio.Future[None] | None = None

    def may_write(self) -> bool:
        """Whether the Lease is ours, and renewed so recently that no other process can have taken it."""
        return self._elector is not None and self._elector.may_write()

    def leading_for(self) -> float:
        """For how many seconds this process has led; 0 if it does not."""
        return 0.0 if self._elector is None else self._elector.leading_for()

    async def wait_leading(self) -> None:
        """Returns when this process leads."""
        await self._leading.wait()

    async def run(self) -> None:
        """Takes part until `release`, or until cancelled; raises what ends the thread."""
        loop = asyncio.get_running_loop()
        ended = self._ended = loop.create_future()
        threading.Thread(target=self._live, args=(loop, ended), name="election", daemon=True).start()
        try:
            while not ended.done():
                self._beat = self._clock()
                await asyncio.wait({ended}, timeout=BEAT)
            ended.result()
        finally:
            self._end()

    async def release(self) -> None:
        """Gives the Lease back, so that another process need not wait for it to run out, and ends the thread."""
        self._end()
        if self._ended is not None:
            await asyncio.wait({self._ended}, timeout=LAST_SECONDS)

    def _end(self) -> None:
        """Asks the thread to give the Lease back and to end."""
        self._is_over = True
        self._stop()

    def _live(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
        """The thread."""
        failure: BaseException | None = None
        try:
            asyncio.run(self._take_part(loop))
        except BaseException as error:  # noqa: BLE001 - it is raised in the operator's event loop
            failure = error
        with suppress(RuntimeError):  # the operator's event loop has ended first
            loop.call_soon_threadsafe(_settle, ended, failure)

    async def _take_part(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gets and keeps the Lease until asked to stop, then gives it back."""

        def announce(leads: bool) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._leading.set if leads else self._leading.clear)

        own, stopping = asyncio.get_running_loop(), asyncio.Event()
        api = self._connect()
        try:
            elector = Elector(
                api, self._lease, self._identity, clock=self._clock, announce=announce, is_fit=self._is_fit
            )
            self._stop = lambda: _call(own, stopping.set)
            self._elector = elector
            if self._is_over:
                return
            renewing = asyncio.create_task(elector.run())
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait({renewing, stop}, return_when=asyncio.FIRST_COMPLETED)
            for task in (renewing, stop):
                task.cancel()
            results = await asyncio.gather(renewing, stop, return_exceptions=True)
            await elector.release()
            for result in results:
                if isinstance(result, Exception):
                    raise result
        finally:
            await api.close()

    def _is_fit(self) -> bool:
        return self._clock() - self._beat < HUNG


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Calls a function in an event loop of another thread, unless that has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


def _settle(ended: asyncio.Future[None], failure: BaseException | None) -> None:
    if ended.done():
        return
    if failure is None:
        ended.set_result(None)
    else:
        ended.set_exception(failure)
