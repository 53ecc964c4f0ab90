"""Adds the counts of pods up to those of a step. Pure, but for the sums that a tally holds.

A step counts from its start. So a tally knows, for each pod, the offset: what has to be added to the counters that the
pod shows now to get what it counted in this step. It is negative for what the pod had counted before the step, and
positive for what earlier processes of its container counted in this step.

`kept_counts` keeps the offsets across a restart of the operator.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from modelwright.checks.against_stable import Labels, Predicted
from modelwright.checks.quantiles import Cells
from modelwright.inferenceservice.analysis.counts import SERVER_TOO_OLD, StepCounts
from modelwright.inferenceservice.analysis.exposition import (
    AGREEMENT,
    ANSWERED,
    DELEGATED,
    DIFFERENCE_BUCKETS,
    DIFFERENCES,
    DURATION_BUCKETS,
    DURATIONS,
    ERRORS,
    LABELLED,
    LABELS,
    LOSSES,
    NON_FINITE,
    POSTS,
    PREDICTED,
    PREDICTED_CELLS,
    PREDICTED_ROWS,
    RIGHT,
    SHADOWED,
    UNCOMPARED,
    Counts,
    Sample,
    Scrape,
    bound,
)
from modelwright.inferenceservice.analysis.scrape_targets import Step

ByMetric = Mapping[str, list[tuple[Sample, float]]]
# What the samples of feedback become in `StepCounts.labels`, by their last label.
_KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    RIGHT: {"true": ("labels", "right"), "false": ("labels",)},
    LOSSES: {"n": ("lossLabels",), "log": ("log",), "logSquare": ("logSquare",)},
    ERRORS: {"n": ("errorLabels",), "abs": ("abs",), "square": ("square",)},
    POSTS: {"squares": ("postSquares",)},
}
# The ratio of the bounds of a fine cell is at most this.
CELL_RATIO = 1.05


@dataclass(frozen=True)
class PodOffset:
    """What has to be added to the counters of a pod. `started`: identifies the process that shows them; 0: unknown."""

    revision: str
    started: float = 0.0
    offset: Counts = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """What is kept of a step: the offsets of pods by uid, and the sums of pods that are gone by revision."""

    pods: Mapping[str, PodOffset] = field(default_factory=dict)
    gone: Mapping[str, Counts] = field(default_factory=dict)


class Tally:
    """Adds up the counts of one pod since a step began, across restarts of its container."""

    def __init__(self, revision: str, kept: PodOffset | None = None) -> None:
        """`kept`: the offset; None if the first scrape sets it, because that is when the step began."""
        self.revision = revision
        self.kept = kept
        offset = {} if kept is None else kept.offset
        # As if the start of the step had just been scraped.
        self.sum: Counts = {sample: max(0.0, value) for sample, value in offset.items()}
        self._last: Counts = {sample: max(0.0, -value) for sample, value in offset.items()}

    def add(self, scrape: Scrape) -> None:
        """Takes in the counters that the pod shows now.

        What a process counted after the last scrape, and before it ended, is lost.
        """
        if self.kept is None:
            start = {sample: -value for sample, value in scrape.counts.items() if value}
            self.kept = PodOffset(self.revision, scrape.started, start)
        elif self._has_restarted(scrape):
            before = {sample: value for sample, value in self.sum.items() if value}
            self.kept = PodOffset(self.revision, scrape.started, before)
        offset = self.kept.offset
        self.sum.update(
            {
                sample: counted if (counted := value + offset.get(sample, 0.0)) > 0 else 0.0
                for sample, value in scrape.counts.items()
            }
        )
        self._last = scrape.counts

    def _has_restarted(self, scrape: Scrape) -> bool:
        """True if another process counts than the one that the offset is for."""
        if self.kept is not None and self.kept.started and scrape.started:
            return scrape.started != self.kept.started
        return any(scrape.counts.get(sample, 0.0) < value for sample, value in self._last.items())


class StepTally:
    """Adds up the counts of all pods in one step. Those of deleted pods remain, because they belong to the step."""

    def __init__(self, since: str, kept: Kept | None = None) -> None:
        """`kept`: what an operator before this one kept of the step."""
        kept = kept or Kept()
        self._since = since
        self._tallies = {uid: Tally(pod.revision, pod) for uid, pod in kept.pods.items()}
        self._gone = kept.gone

    def add(self, uid: str, revision: str, created: str, scrape: Scrape) -> None:
        """Takes in what a pod shows now. `created`: when the pod was made; one of this step counts from zero."""
        if uid not in self._tallies:
            new = PodOffset(revision, scrape.started) if created > self._since else None
            self._tallies[uid] = Tally(revision, new)
        self._tallies[uid].add(scrape)

    @property
    def sums(self) -> list[tuple[str, Counts]]:
        """What pods, also deleted ones, counted in this step; each with its revision."""
        return [*self._gone.items(), *((tally.revision, tally.sum) for tally in self._tallies.values())]

    def kept(self, present: Collection[str]) -> Kept:
        """Returns what has to be kept. `present`: the uids of the pods that are still there."""
        pods: dict[str, PodOffset] = {}
        gone: dict[str, list[Counts]] = defaultdict(list)
        for revision, counts in self._gone.items():
            gone[revision].append(counts)
        for uid, tally in self._tallies.items():
            if uid not in present:
                gone[tally.revision].append(tally.sum)
            elif tally.kept is not None:
                pods[uid] = tally.kept
        return Kept(pods, {revision: added(counts) for revision, counts in gone.items()})


def step_counts(step: Step, pods: Iterable[tuple[str, Counts]]) -> StepCounts:
    """Returns the counts of a step from those of its pods, each with its revision."""
    judged, sums = step.judged, list(pods)
    stable = _by_metric(added(counts for revision, counts in sums if revision != judged))
    own = _by_metric(added(counts for revision, counts in sums if revision == judged))
    shadowed, uncompared = _by_label(stable[SHADOWED], judged), _by_label(stable[UNCOMPARED], judged)
    labelled = round(_total(stable[LABELLED], judged))
    if not labelled and _total(stable[LABELS], judged) > 0:
        uncompared[SERVER_TOO_OLD] = shadowed.get("Compared", 0)
    return StepCounts(
        since=step.since,
        direct=step.direct,
        delegated=_by_label(stable[DELEGATED], judged),
        shadowed=shadowed,
        uncompared=uncompared,
        labelled=labelled,
        agreement=min(_total(stable[AGREEMENT], judged), float(labelled)),
        non_finite=round(_total(stable[NON_FINITE], judged)),
        answered=_by_label(own[ANSWERED]),
        stable_answered=_by_label(stable[ANSWERED]),
        rescued=0 if step.retired is None else round(_total(own[DELEGATED], step.retired, "Answered")),
        differences=_histogram(stable[DIFFERENCES], stable[DIFFERENCE_BUCKETS], judged),
        stable_durations=_histogram(stable[DURATIONS], stable[DURATION_BUCKETS]),
        canary_durations=_histogram(own[DURATIONS], own[DURATION_BUCKETS]),
        labels=_labels((own, stable), step.model) if step.model != step.stable_model else None,
        stable_labels=_labels((own, stable), step.stable_model),
        predicted=_predicted(own),
        stable_predicted=_predicted(stable),
    )


def added(pods: Iterable[Counts]) -> Counts:
    """The sums of the counts of pods."""
    total: Counts = {}
    for pod in pods:
        if not total:
            total = dict(pod)
            continue
        for sample, value in pod.items():
            total[sample] = total[sample] + value if sample in total else value
    return total


def _by_metric(counts: Counts) -> ByMetric:
    """The samples of each metric, without its name."""
    found: dict[str, list[tuple[Sample, float]]] = defaultdict(list)
    for sample, value in counts.items():
        found[sample[0]].append((sample[1:], value))
    return found


def _total(samples: Iterable[tuple[Sample, float]], *labels: str) -> float:
    """The sum of the samples with these labels."""
    return sum(value for found, value in samples if found == labels)


def _by_label(samples: Iterable[tuple[Sample, float]], *labels: str) -> dict[str, int]:
    """The counts of the samples with these first labels, by the value of their last one."""
    found = sorted((sample[-1], value) for sample, value in samples if value > 0 and sample[:-1] == labels)
    return {label: round(value) for label, value in found}


def _labels(pods: Collection[ByMetric], model: str) -> Labels:
    """The counts of the labels of a model's predictions, by kind. Any pod may have got them."""
    found: dict[str, float] = defaultdict(float)
    for metric, kinds in _KINDS.items():
        for metrics in pods:
            for (digest, kind), value in metrics[metric]:
                if digest == model and value > 0:
                    for name in kinds.get(kind, ()):
                        found[name] += value
    return dict(found)


def _predicted(metrics: ByMetric) -> Predicted:
    """What the pods of a revision predicted."""
    rows = _by_label(metrics[PREDICTED_ROWS])
    return Predicted(
        {(classes, label): value for (classes, label), value in metrics[PREDICTED] if value > 0},
        {
            (classes, int(cell)): value
            for (classes, cell), value in metrics[PREDICTED_CELLS]
            if value > 0 and cell
        },
        rows.get("rows", 0),
        rows.get("requests", 0),
        rows.get("squares", 0),
    )


def _histogram(
    fine: Iterable[tuple[Sample, float]], coarse: Iterable[tuple[Sample, float]], *labels: str
) -> Cells:
    """The cells that are not empty, of servers of this release and of earlier ones."""
    cells: dict[tuple[float, float], float] = defaultdict(float)
    highest, beyond = 0.0, 0.0
    for sample, value in fine:
        if value > 0 and sample[:-1] == labels:
            upper = bound(sample[-1])
            if upper == inf:
                beyond += value
                continue
            highest = max(highest, upper)
            cells[upper / CELL_RATIO, upper] += value
    if beyond:
        cells[highest, inf] += beyond
    below = 0.0
    for upper, value in sorted(
        (bound(sample[-1]), value) for sample, value in coarse if sample[:-1] == labels
    ):
        if value > 0:
            cells[below, upper] += value
        below = upper
    return dict(cells)
