"""GET /monitor and /monitor/profile: what is counted of callers' rows, for the operator. `watching` counts."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

import orjson

from modelwright_serving.http import responses
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.scrapes import Scrapes
from modelwright_serving.state import State
from modelwright_serving.watching.watch import Watch

MAX_SECONDS = 604_800
_OTHER_LENGTH = "windows of another length were asked for a moment ago; GET /monitor says which"
_HEAD = responses.head(200, responses.JSON)


class Monitor:
    """The documents; rendered no more often than metrics are."""

    def __init__(self, watch: Watch, state: State, loop: asyncio.AbstractEventLoop) -> None:
        self._watch = watch
        self._state = state
        self._scrapes = Scrapes(self._render, _HEAD, loop)

    def queried(self, query: bytes) -> _Endpoint | _Refusal:
        """The endpoint of GET /monitor with this query."""
        found = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("window")
        if found is None:
            return _Endpoint(self, None)
        text = found[-1]
        seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        if not 1 <= seconds <= MAX_SECONDS:
            return _Refusal(f"window has to be a number of seconds from 1 to {MAX_SECONDS}")
        return _Endpoint(self, seconds)

    def answer(self, exchange: Exchange, seconds: int | None) -> None:
        """Count in windows of so many seconds, and say what is counted."""
        if not self._watch.installed:
            exchange.respond(responses.unready(self._state.unready_reason[1]))
            return
        if self._watch.asked(seconds):
            self._scrapes.handle(exchange)
        else:
            exchange.respond(responses.error(409, _OTHER_LENGTH))

    def profile(self) -> Response:
        """The bytes of profile.json."""
        content = self._watch.profile
        if content is None:
            return responses.error(404, "the model has no profile.json")
        return Response(200, _HEAD, content)

    def _render(self) -> bytes:
        return orjson.dumps(self._watch.report())


class _Endpoint:
    """GET /monitor with one length of windows."""

    takes_body = False

    def __init__(self, monitor: Monitor, seconds: int | None) -> None:
        self._monitor = monitor
        self._seconds = seconds

    def handle(self, exchange: Exchange) -> None:
        self._monitor.answer(exchange, self._seconds)


class _Refusal:
    """GET /monitor with a query that makes no sense."""

    takes_body = False

    def __init__(self, message: str) -> None:
        self._message = message

    def handle(self, exchange: Exchange) -> None:
        exchange.respond(responses.error(400, self._message))
