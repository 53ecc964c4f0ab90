"""The metrics that the operator reads while a rollout runs, as a short text in Prometheus' format.

`GET /metrics?view=rollout`. Only samples that are not 0, always in the same order, without this server's own labels.
Histograms are shown by their fine cells: how many values are in each, not how many are below its bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import inf

from modelwright_serving.histogram import Histogram
from modelwright_serving.metrics import Metrics
from modelwright_serving.traffic.compare import Uncompared
from modelwright_serving.traffic.counts import CopyOutcome, Outcome, RevisionCounts


def render(metrics: Metrics) -> bytes:
    """The text."""
    return "".join(_lines(metrics)).encode()


def _lines(metrics: Metrics) -> Iterator[str]:
    # Another value says that all counts began at 0 again.
    yield f"process_start_time_seconds {metrics.started}\n"
    for protocol in (metrics.http, metrics.grpc):
        for code, count in sorted(protocol.codes.items()):
            yield f'modelwright_requests_total{{code="{code}"}} {count}\n'
    yield from _cells("modelwright_request_duration_seconds_cell", "", metrics.durations())
    for revision, counts in metrics.traffic.revisions.items():
        yield from _revision(f'revision="{revision}"', counts)
    for name, labels, value in chain(metrics.feedback.samples(), metrics.predicted.samples()):
        shown = ",".join(f'{label}="{text}"' for label, text in labels.items())
        yield f"modelwright_{name}{{{shown}}} {value:.17g}\n"


def _revision(label: str, counts: RevisionCounts) -> Iterator[str]:
    for outcome in Outcome:
        if count := counts.outcomes[outcome]:
            yield f'modelwright_delegated_requests_total{{{label},outcome="{outcome.value}"}} {count}\n'
    for copied in CopyOutcome:
        if count := counts.copied[copied]:
            yield f'modelwright_shadow_requests_total{{{label},outcome="{copied.value}"}} {count}\n'
    for reason in Uncompared:
        if count := counts.uncompared[reason]:
            yield f'modelwright_shadow_uncompared_total{{{label},reason="{reason.value}"}} {count}\n'
    for name, value in (
        ("labelled_requests", counts.labelled),
        ("agreement", counts.agreement),
        ("non_finite_requests", counts.non_finite),
    ):
        if value:
            yield f"modelwright_shadow_{name}_total{{{label}}} {value}\n"
    yield from _cells("modelwright_shadow_difference_cell", f"{label},", counts.differences)


def _cells(name: str, labels: str, histogram: Histogram) -> Iterator[str]:
    for bound, count in histogram.cells():
        shown = "+Inf" if bound == inf else f"{bound:g}"
        yield f'{name}{{{labels}le="{shown}"}} {count}\n'
