"""Counts the outcomes of requests that were delegated or copied to another revision, for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from modelwright_serving.histogram import DURATION_BOUNDS, Histogram, fine
from modelwright_serving.traffic.compare import Comparison, Uncompared

DIFFERENCE_BOUNDS = (
    *(1e-6, 1e-5, 1e-4, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6),
)
# The first cell holds the answers that are equal, so that a limit of 0 can be checked.
FINE_DIFFERENCE_BOUNDS = (0.0, *fine(DIFFERENCE_BOUNDS, 1e-9, 1e7))
# Of revisions before the present one, whose counters a scrape may not have seen yet.
_MAX_REVISIONS = 4


class Outcome(Enum):
    """Of one delegated request. This revision answered all but those with ANSWERED."""

    ANSWERED = "Answered"
    FAILED = "Failed"
    """It answered with a server's error."""
    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    BROKEN = "Broken"
    """Its connection broke off, or its response is no answer of the protocol."""
    OVERLOADED = "Overloaded"
    """It had no room for the request (503), or too many waited for it already: this one was not sent."""
    REJECTED = "Rejected"
    """It refused a request that this revision answered."""
    INVALID = "Invalid"
    """Both refused the request: the caller's fault."""
    FAILED_ALIKE = "FailedAlike"
    """It gave no answer, but this revision failed too, or took longer than the other one had: no fault of its own."""
    HURRIED = "Hurried"
    """It answered within the rule's time, but later than the caller's deadline allowed to wait for it."""


class CopyOutcome(Enum):
    """Of one copied request."""

    COMPARED = "Compared"
    INCOMPARABLE = "Incomparable"
    """No output of the two answers could be compared."""
    FAILED = "Failed"
    """It answered with an error, or with what is no answer of the protocol."""
    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    DROPPED = "Dropped"
    """Not sent: too many at once, or too large."""


class RevisionCounts:
    """The numbers of one other revision."""

    __slots__ = (
        "agreement",
        "copied",
        "differences",
        "durations",
        "labelled",
        "non_finite",
        "outcomes",
        "uncompared",
    )

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.durations = Histogram(DURATION_BOUNDS)
        self.copied: Counter[CopyOutcome] = Counter()
        self.uncompared: Counter[Uncompared] = Counter()
        # Compared requests, each of which counts once, however many rows it has: its rows depend on each other.
        self.labelled = 0  # with labels
        self.agreement = 0.0  # the sum of the shares of their labels that are equal
        self.non_finite = 0  # with a number that is not finite, in the other answer only
        self.differences = Histogram(FINE_DIFFERENCE_BOUNDS, DIFFERENCE_BOUNDS)

    def drop(self, reason: Uncompared) -> None:
        """Count a request that was not copied."""
        self.copied[CopyOutcome.DROPPED] += 1
        self.uncompared[reason] += 1

    def add(self, comparison: Comparison) -> None:
        """Count the comparison of two answers."""
        if comparison.labels:
            self.labelled += 1
            self.agreement += comparison.agreeing / comparison.labels
        self.non_finite += comparison.non_finite
        if comparison.numbers:
            self.differences.observe(comparison.difference)
        self.uncompared.update(comparison.uncompared)


class TrafficCounts:
    """The numbers of the present other revision and of a few before it."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._names = tuple(labels)
        self._values = tuple(labels.values())
        self._revisions: dict[str, RevisionCounts] = {}
        self.weight: tuple[str, int] | None = None
        self.rule_errors = 0

    def count_rule_error(self) -> None:
        """Count a rule that could not be read."""
        self.rule_errors += 1

    def revision(self, name: str) -> RevisionCounts:
        """The counts of a revision, continued if it was counted before."""
        found = self._revisions.setdefault(name, RevisionCounts())
        while len(self._revisions) > _MAX_REVISIONS:
            del self._revisions[next(other for other in self._revisions if other != name)]
        return found

    @property
    def revisions(self) -> Mapping[str, RevisionCounts]:
        """The counts of each revision, by its name."""
        return self._revisions

    def collect(self) -> Iterator[Metric]:
        """All metrics, each with the labels of this server."""
        yield from self._delegated()
        yield from self._shadow()
        weight = GaugeMetricFamily(
            "modelwright_traffic_weight",
            "Percent of the inference requests that are delegated to another revision.",
            labels=(*self._names, "revision"),
        )
        if self.weight is not None:
            weight.add_metric((*self._values, self.weight[0]), self.weight[1])
        yield weight
        errors = CounterMetricFamily(
            "modelwright_traffic_rule_errors",
            "Traffic rules that could not be read; the one before them stays in force.",
            labels=self._names,
        )
        errors.add_metric(self._values, self.rule_errors)
        yield errors

    def _delegated(self) -> Iterator[Metric]:
        outcomes = CounterMetricFamily(
            "modelwright_delegated_requests",
            "Inference requests that were delegated to another revision, by outcome.",
            labels=(*self._names, "revision", "outcome"),
        )
        durations = HistogramMetricFamily(
            "modelwright_delegated_duration_seconds",
            "From delegating a request to the answer of the other revision.",
            labels=(*self._names, "revision"),
        )
        for revision, counts in self._revisions.items():
            for outcome in Outcome:
                outcomes.add_metric((*self._values, revision, outcome.value), counts.outcomes[outcome])
            counts.durations.add_to(durations, (*self._values, revision))
        yield from (outcomes, durations)

    def _shadow(self) -> Iterator[Metric]:
        labels = (*self._names, "revision")
        copied = CounterMetricFamily(
            "modelwright_shadow_requests",
            "Answered inference requests that were copied to another revision, by outcome.",
            labels=(*labels, "outcome"),
        )
        uncompared = CounterMetricFamily(
            "modelwright_shadow_uncompared",
            "Copied requests of which nothing, or not every output, could be compared, by reason.",
            labels=(*labels, "reason"),
        )
        labelled = CounterMetricFamily(
            "modelwright_shadow_labelled_requests",
            "Copied requests with labels in both answers.",
            labels=labels,
        )
        agreement = CounterMetricFamily(
            "modelwright_shadow_agreement",
            "The sum of the shares of labels that are equal, over the copied requests with labels in both answers.",
            labels=labels,
        )
        differences = HistogramMetricFamily(
            "modelwright_shadow_difference",
            "The largest absolute difference between numbers of two compared answers.",
            labels=labels,
        )
        non_finite = CounterMetricFamily(
            "modelwright_shadow_non_finite_requests",
            "Copied requests with a number that is NaN or infinite in the other revision's answer only.",
            labels=labels,
        )
        for revision, counts in self._revisions.items():
            values = (*self._values, revision)
            for outcome in CopyOutcome:
                copied.add_metric((*values, outcome.value), counts.copied[outcome])
            for reason in Uncompared:
                uncompared.add_metric((*values, reason.value), counts.uncompared[reason])
            labelled.add_metric(values, counts.labelled)
            agreement.add_metric(values, counts.agreement)
            counts.differences.add_to(differences, values)
            non_finite.add_metric(values, counts.non_finite)
        yield from (copied, uncompared, labelled, agreement, differences, non_finite)
