"""Documents that are costly to render, for callers that may ask at any rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.limits import ADMIN


class Scrapes:
    """One document: rendered at most once in `scrape_seconds`, for all who wait for it then."""

    takes_body = False

    def __init__(self, render: Callable[[], bytes], head: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self._render = render
        self._head = head
        self._loop = loop
        self._waiting: list[Exchange] = []
        self._next = loop.time()

    def handle(self, exchange: Exchange) -> None:
        self._waiting.append(exchange)
        if len(self._waiting) == 1:
            self._loop.call_at(self._next, self._answer)

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._next = self._loop.time() + ADMIN.scrape_seconds
        response = Response(200, self._head, self._render())
        for exchange in waiting:
            exchange.respond(response)
