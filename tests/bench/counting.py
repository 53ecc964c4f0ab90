"""What metrics cost: our server as it is, scraped every second, and with its counting replaced by nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bench.asking import get
from bench.bodies import as_json, batches
from bench.contenders import UNCOUNTED, Contender, ours
from bench.exposition import answers
from bench.generator import BenchError, Outcome
from bench.loads import Generator, Target, rounds, write_script
from bench.model import Model
from bench.progress import Pace
from bench.results import Load, MetricsCost, Series
from bench.wrk import Wrk

CONNECTIONS = 64
SCRAPE_SECONDS = 1.0


def metrics_cost(model: Model, folder: Path, pace: Pace) -> MetricsCost:
    """Interleaved, twice as often as ratios of tens; judged by CPU per request, which others disturb least."""
    often = replace(pace, passes=2 * pace.passes)
    first = as_json(model, model.rows[:1])
    script = write_script(folder, [as_json(model, rows) for rows in batches(model, 1)])
    with ours(model.path, first) as plain, ours(model.path, first, UNCOUNTED) as bare:
        load = Wrk(script, plain.http_port, CONNECTIONS)
        targets = [
            Target("counted", plain.pid, load),
            Target("scraped", plain.pid, Scraped(load, plain)),
            Target("uncounted", bare.pid, Wrk(script, bare.http_port, CONNECTIONS)),
        ]
        found = rounds(
            "metrics", "Cost of metrics, one row JSON, 64 connections", CONNECTIONS, targets, often
        )
        _check_counts(plain, bare)
    return MetricsCost(**{name: _series(found, name) for name in ("counted", "scraped", "uncounted")})


class Scraped:
    """A load beside which somebody scrapes."""

    def __init__(self, load: Generator, server: Contender) -> None:
        self._load = load
        self._server = server

    def run(self, seconds: int) -> Outcome:
        with _scraping(self._server.admin_port):
            return self._load.run(seconds)


@contextmanager
def _scraping(port: int) -> Iterator[None]:
    stop = threading.Event()

    def scrape() -> None:
        # A scrape that fails fails again when the counts are checked.
        with suppress(OSError):
            while not stop.wait(SCRAPE_SECONDS / 2):
                get(port, "/metrics")
                stop.wait(SCRAPE_SECONDS / 2)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _check_counts(plain: Contender, bare: Contender) -> None:
    """The one has counted and the other has not, or nothing was compared."""
    counted, uncounted = (
        sum(answers(get(server.admin_port, "/metrics")).values()) for server in (plain, bare)
    )
    if not counted or uncounted:
        raise BenchError(
            f"cost of metrics: the server counted {counted:.0f} requests, and {uncounted:.0f} without counting; "
            "see programs/uncounted.py"
        )


def _series(found: Load, name: str) -> Series:
    series = found.of(name)
    assert series is not None
    return series
