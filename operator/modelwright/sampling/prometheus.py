"""Asks the administrator's Prometheus the queries of running rollouts, and puts the answers where planners see them.

The only requests that the operator sends to Prometheus, and to no other address than the one it was started with.
What to ask, and what the answers mean, is left to the kind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import aiohttp

from modelwright.api.inferenceservice import Query
from modelwright.common.resources import INFERENCE_SERVICES, READINGS
from modelwright.engine.connector import Connector
from modelwright.engine.objects import Key
from modelwright.engine.runtime import Companion
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, Reading, result, steady
from modelwright.inferenceservice.analysis.queries import Inquiry, inquiries
from modelwright.sampling.pods import Notebook, entry, forget_others

logger = logging.getLogger(__name__)

SECONDS = 1.0
PATIENCE = 5.0
MOST_BYTES = 1024**2
AT_ONCE = 8
# Prometheus gives up a little before we do, and says so; two series are enough to see that there are too many.
LIMITS = {"timeout": f"{PATIENCE - 1:g}s", "limit": "2"}
NOT_CONFIGURED = NoValue(
    "PrometheusNotConfigured", "the operator was installed without the address of a Prometheus"
)


@dataclass(eq=False)
class Book:
    """What is known of one step: when each query was asked last, and what came of it."""

    since: str
    asked: dict[str, datetime] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    busy: bool = False


class Asking:
    """Asks again and again while this process leads; one query of a service at a time, so that none takes all."""

    def __init__(
        self,
        notebook: Notebook,
        leads: Callable[[], bool],
        url: str | None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._notebook = notebook
        self._leads = leads
        self._url = url
        self._clock = clock
        self._books: dict[str, Book] = {}
        self._trouble = ""
        self._versions = count(1)
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Until it is cancelled."""
        patience = aiohttp.ClientTimeout(total=PATIENCE)
        # A connection that is kept may end just when it is used again, which would look like a silent Prometheus.
        connector = Connector(force_close=True)
        session = aiohttp.ClientSession(connector=connector, timeout=patience, auto_decompress=False)
        async with session, asyncio.TaskGroup() as group:
            while True:
                if self._leads():
                    for inquiry, book in self._open():
                        book.busy = True
                        group.create_task(self._inquire(session, inquiry, book))
                await asyncio.sleep(SECONDS)

    def _open(self) -> list[tuple[Inquiry, Book]]:
        """The steps with a query that has to be asked now; those that are over are forgotten."""
        found = list(inquiries(self._notebook, self._notebook.keys(INFERENCE_SERVICES)))
        self._books = {inquiry.uid: self._book(inquiry) for inquiry in found}
        forget_others(self._notebook, READINGS, (inquiry.key for inquiry in found))
        steps = [(inquiry, self._books[inquiry.uid]) for inquiry in found]
        return [(inquiry, book) for inquiry, book in steps if not book.busy and self._due(inquiry, book)]

    def _book(self, inquiry: Inquiry) -> Book:
        book = self._books.get(inquiry.uid)
        return book if book is not None and book.since == inquiry.since else Book(inquiry.since)

    def _due(self, inquiry: Inquiry, book: Book) -> list[Query]:
        now = self._clock()
        return [query for query in inquiry.queries if inquiry.due(query, book.asked.get(query.name), now)]

    async def _inquire(self, session: aiohttp.ClientSession, inquiry: Inquiry, book: Book) -> None:
        """Asks one after the other, and notes each answer at once."""
        try:
            for query in self._due(inquiry, book):
                now = book.asked[query.name] = self._clock()
                answer = await self._ask(session, inquiry.text(query, now))
                before = book.readings.get(query.name)
                book.readings[query.name] = steady(before, Reading(query.query, answer, int(now.timestamp())))
                _tell(inquiry, query, before, answer)
                self._note(inquiry, book)
        finally:
            book.busy = False

    async def _ask(self, session: aiohttp.ClientSession, text: str) -> float | NoValue:
        """The value of a query now. Messages are for users: they name no address of the administrator's."""
        if self._url is None:
            return NOT_CONFIGURED
        options: dict[str, Any] = {"headers": {"Accept-Encoding": "identity"}, "allow_redirects": False}
        form = {"query": text, **LIMITS}
        try:
            async with self._gate, session.post(f"{self._url}/api/v1/query", data=form, **options) as answer:
                content = await _bounded(answer.content)
        except TimeoutError:
            return NoValue("PrometheusUnreachable", f"it does not answer within {PATIENCE:g} seconds")
        except (aiohttp.ClientConnectionError, OSError) as error:
            self._complain(error)
            return NoValue("PrometheusUnreachable", "it cannot be connected to, or breaks the connection")
        except aiohttp.ClientError as error:
            self._complain(error)
            return NoValue("PrometheusFailed", "its answer is not HTTP")
        if content is None:
            return NoValue("PrometheusFailed", f"its answer has more than {MOST_BYTES} bytes")
        return result(answer.status, content)

    def _complain(self, error: Exception) -> None:
        """Tells the administrator, once, what users are not told: the address and what is wrong with it."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            logger.warning("%s: %s", self._url, error)

    def _note(self, inquiry: Inquiry, book: Book) -> None:
        if self._books.get(inquiry.uid) is not book:  # another step has begun meanwhile
            return
        known = self._notebook.get(Key(READINGS, inquiry.key.namespace, inquiry.key.name))
        found = {"since": book.since, "readings": dict(book.readings)}
        if known is not None and {key: known[key] for key in found} == found:
            return
        meta = entry(inquiry.key, inquiry.uid, "readings", next(self._versions))
        self._notebook.put(READINGS, {"metadata": meta, **found})


def asking(url: str | None) -> Companion:
    """What goes on for as long as the operator runs."""

    async def ask(notebook: Notebook, leads: Callable[[], bool]) -> None:
        await Asking(notebook, leads, url).run()

    return ask


async def _bounded(content: aiohttp.StreamReader) -> bytes | None:
    """The whole body; None if it is too large."""
    try:
        await content.readexactly(MOST_BYTES + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    return None


def _tell(inquiry: Inquiry, query: Query, before: Reading | None, now: float | NoValue) -> None:
    """Tells the administrator once of what keeps a rollout waiting."""
    was = before.result.reason if before is not None and isinstance(before.result, NoValue) else ""
    if isinstance(now, NoValue) and now.reason not in {was, "NoData"}:
        logger.warning("%s: query %s: %s: %s", inquiry.key, query.name, now.reason, now.message)
