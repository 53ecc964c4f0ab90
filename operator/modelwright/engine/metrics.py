"""What the operator measures of itself, for Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from modelwright.engine.cache import View
from modelwright.engine.plan import Count

logger = logging.getLogger(__name__)

# What is computed from the cache at each scrape.
Gauges = Callable[[View], Iterable[Metric]]

# What planners count: what it is, and the labels. All values of labels come from our own code.
COUNTS = {
    "modelwright_retraining_decisions": (
        "Decisions whether a run is started, by trigger, outcome and reason.",
        ("trigger", "outcome", "reason"),
    ),
}
OUTCOMES = ("Done", "Again", "At", "Failed", "Terminal", "Standby")
SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class Metrics:
    """The operator's own metrics, in a registry of their own."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "modelwright_reconcile",
            "Looks at objects, by kind and by how they ended.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "modelwright_reconcile_seconds",
            "How long reconciles took.",
            ["kind"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._requests = Counter(
            "modelwright_api_requests",
            "Requests to the API server, by verb and status code; code 0 is no answer.",
            ["verb", "code"],
            registry=self.registry,
        )
        self._samples = Counter(
            "modelwright_samples",
            "Questions asked for facts that no watch tells, by fact and by outcome: answered, unanswered, failed.",
            ["fact", "outcome"],
            registry=self.registry,
        )
        self._watched = Gauge(
            "modelwright_namespace_watched",
            "1 while all objects of a namespace of the operator's scope are known, 0 while they cannot be.",
            ["namespace"],
            registry=self.registry,
        )
        self._counts = {
            name: Counter(name, what, labels, registry=self.registry)
            for name, (what, labels) in COUNTS.items()
        }
        for kind in kinds:  # a counter that is absent looks like one that does not exist
            self._seconds.labels(kind)
            for outcome in OUTCOMES:
                self._reconciles.labels(kind, outcome)

    def watch(
        self, *, depth: Callable[[], float], oldest: Callable[[], float], leader: Callable[[], float]
    ) -> None:
        """Adds the values that are read at each scrape."""
        for name, what, value in (
            (
                "modelwright_queue_depth",
                "Objects that wait to be reconciled; 0 while another process leads.",
                depth,
            ),
            (
                "modelwright_queue_oldest_seconds",
                "How long the first of them has waited while this process leads.",
                oldest,
            ),
            ("modelwright_leader", "1 while this process leads.", leader),
        ):
            Gauge(name, what, registry=self.registry).set_function(value)

    def show(self, gauges: Sequence[Gauges], view: View) -> None:
        """Adds what is computed of a view at each scrape."""
        self.registry.register(_Computed(gauges, view))

    def reconciled(self, kind: str, outcome: str, seconds: float) -> None:
        """Counts one reconcile."""
        self._reconciles.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

    def requested(self, verb: str, code: int) -> None:
        """Counts one request to the API server."""
        self._requests.labels(verb, str(code)).inc()

    def sampled(self, fact: str, outcome: str) -> None:
        """Counts one question asked for a fact."""
        self._samples.labels(fact, outcome).inc()

    def watched(self, namespace: str, is_watched: bool) -> None:
        """Takes in whether a namespace of the scope is watched."""
        self._watched.labels(namespace).set(is_watched)

    def counted(self, count: Count) -> None:
        """Counts what a planner has decided."""
        self._counts[count.name].labels(*count.labels).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class _Computed(Collector):
    """Gauges of a view. One that breaks is left out, so that the others still show."""

    def __init__(self, gauges: Sequence[Gauges], view: View) -> None:
        self._gauges = gauges
        self._view = view

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are not known before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        for gauge in self._gauges:
            try:
                families = list(gauge(self._view))
            except Exception:
                logger.exception("a gauge broke; it is left out")
            else:
                yield from families
