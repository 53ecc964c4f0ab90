"""What came of the requests that another revision answered or repeated, as Prometheus scrapes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from modelwright_serving.histogram import DURATION_BOUNDS, Histogram

# Of revisions before the present one, whose counters a scrape may not have seen yet.
_MAX_REVISIONS = 4


class Outcome(Enum):
    """Of one delegated request. Only what is not ANSWERED was answered by this revision in its place."""

    ANSWERED = "Answered"
    FAILED = "Failed"
    """It answered with a server's error."""
    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    BROKEN = "Broken"
    """Its connection or its answer broke off."""
    OVERLOADED = "Overloaded"
    """Too many requests waited for it already: it was not asked."""
    REJECTED = "Rejected"
    """It refused a request that this revision answered."""
    INVALID = "Invalid"
    """Both refused the request: the caller's fault."""


class RevisionCounts:
    """The numbers of one other revision."""

    __slots__ = ("durations", "outcomes")

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.durations = Histogram(DURATION_BOUNDS)


class TrafficCounts:
    """The numbers of the present other revision and of a few before it."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._revisions: dict[str, RevisionCounts] = {}
        self.weight: tuple[str, int] | None = None
        self.rule_errors = 0

    def complain(self) -> None:
        """A rule could not be read."""
        self.rule_errors += 1

    def revision(self, name: str) -> RevisionCounts:
        """The counts of a revision, which go on where they were."""
        found = self._revisions.setdefault(name, RevisionCounts())
        while len(self._revisions) > _MAX_REVISIONS:
            del self._revisions[next(other for other in self._revisions if other != name)]
        return found

    def collect(self) -> Iterator[Metric]:
        """Everything, each with the labels of this server."""
        names, values = tuple(self._labels), tuple(self._labels.values())
        outcomes = CounterMetricFamily(
            "modelwright_delegated_requests",
            "Inference requests that another revision was asked to answer, by what came of it.",
            labels=(*names, "revision", "outcome"),
        )
        durations = HistogramMetricFamily(
            "modelwright_delegated_duration_seconds",
            "From asking another revision to its answer.",
            labels=(*names, "revision"),
        )
        for revision, counts in self._revisions.items():
            for outcome in Outcome:
                outcomes.add_metric((*values, revision, outcome.value), counts.outcomes[outcome])
            counts.durations.add_to(durations, (*values, revision))
        yield from (outcomes, durations)
        weight = GaugeMetricFamily(
            "modelwright_traffic_weight",
            "Percent of the inference requests that another revision is asked to answer.",
            labels=(*names, "revision"),
        )
        if self.weight is not None:
            weight.add_metric((*values, self.weight[0]), self.weight[1])
        yield weight
        errors = CounterMetricFamily(
            "modelwright_traffic_rule_errors",
            "Traffic rules that could not be read; the one before them stays in force.",
            labels=names,
        )
        errors.add_metric(values, self.rule_errors)
        yield errors
