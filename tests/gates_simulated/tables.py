"""The tables of docs/gates.md: what is simulated for each row, and how the rows are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from bench.report import table
from verdicts.tables import percent

from gates_simulated import fair, samples
from gates_simulated.row import Cells, Chance, Row
from gates_simulated.samples import Found
from modelwright.api.gates import BETTER_THAN_BASELINE, NOT_WORSE_THAN_CHAMPION, Gate, GateStatus
from modelwright.api.rundocument import DEFAULT_GATES
from modelwright.checks.gates import judge
from modelwright.common.report import GateEvidence

Draw = Callable[[Chance, int], Iterable[Found]]
# With the rows of a hold-out as well.
DrawOf = Callable[[Chance, int, int], Iterable[Found]]

CHAMPION, DEFAULTS, COVERAGE, NEEDED = "champion", "defaults", "coverage", "needed"
VERDICTS = ("passes", "fails", "inconclusive")
HEADS = {
    CHAMPION: ("rows", "true difference", *VERDICTS, "passes by its value alone"),
    DEFAULTS: ("gate", "model", "metric", "rows", *VERDICTS),
    COVERAGE: ("metric", "rows", "the interval holds the truth", "is above it", "is below it"),
    **fair.HEADS,
    NEEDED: ("metric", "challenger", "rows", "samplesNeeded (median)", "so many decide", "a quarter decides"),
}
MARGIN = -0.01
# What a linear model loses to a better one in the worst case that was measured.
CLEARLY = -0.054
NOT_WORSE = Gate.model_validate(
    {"name": "auc", "metric": "roc_auc", "against": "Champion", "minChange": MARGIN}
)
DEFAULT = {str(gate["name"]): Gate.model_validate(gate) for gate in DEFAULT_GATES}
BASELINE, EQUAL = DEFAULT[BETTER_THAN_BASELINE], DEFAULT[NOT_WORSE_THAN_CHAMPION]


def judged(gate: Gate, metric: str, found: Found) -> GateStatus:
    """The product's verdict on what was measured."""
    evidence = GateEvidence(
        name=gate.name or metric,
        metric=metric,
        value=found.value,
        low=found.low,
        high=found.high,
        against=gate.against,
        samples=found.samples,
    )
    return judge(gate, evidence)


def verdicts(gate: Gate, metric: str, drawn: Iterable[Found]) -> dict[str, float]:
    """How often the gate passes, fails and is inconclusive."""
    counted = Counter(judged(gate, metric, found).verdict for found in drawn)
    return {verdict: counted[verdict] / counted.total() for verdict in ("Pass", "Fail", "Inconclusive")}


def shares(gate: Gate, metric: str, draw: Draw, chance: Chance, repeats: int) -> Cells:
    """The verdicts of a gate, in percent."""
    return [percent(share) for share in verdicts(gate, metric, draw(chance, repeats)).values()]


def challenger(rows: int, difference: float, chance: Chance, repeats: int) -> Cells:
    """A challenger against the champion, by the interval; and by the value alone."""
    drawn = list(samples.area_differences(chance, rows, difference, repeats))
    alone = np.mean([found.value >= MARGIN for found in drawn])
    return [*map(percent, verdicts(NOT_WORSE, "roc_auc", drawn).values()), percent(float(alone))]


def covered(true: float, draw: Draw, chance: Chance, repeats: int) -> Cells:
    """How often an interval holds the truth."""
    drawn = list(draw(chance, repeats))
    above = float(np.mean([found.low > true for found in drawn]))
    below = float(np.mean([found.high < true for found in drawn]))
    return [percent(1 - above - below), percent(above), percent(below)]


def needed(gate: Gate, metric: str, rows: int, draw: DrawOf, chance: Chance, repeats: int) -> Cells:
    """How many rows are said to decide, and how often so many do."""
    first = [judged(gate, metric, found) for found in draw(chance, rows, repeats)]
    said = [
        status.samples_needed
        for status in first
        if status.verdict == "Inconclusive" and status.samples_needed
    ]
    most = int(np.median(said))
    decided = [
        1 - verdicts(gate, metric, draw(chance, count, repeats))["Inconclusive"]
        for count in (most, most // 4)
    ]
    return [f"{most:,}", *map(percent, decided)]


def rows() -> list[Row]:
    """The rows of all tables, in their order."""
    return [*_champion(), *_defaults(), *_coverage(), *fair.rows(), *_needed()]


def tables(found: Sequence[tuple[str, Cells]]) -> dict[str, str]:
    """The tables in Markdown, by name, of the rows that were simulated."""
    return {
        name: table(HEADS[name], [cells for _, cells in of_name])
        for name, of_name in groupby(found, key=lambda each: each[0])
    }


def _champion() -> Iterator[Row]:
    for rows in (150, 500, 1000, 2000):
        for difference in (0.0, MARGIN, CLEARLY):
            yield Row(CHAMPION, (f"{rows:,}", f"{difference:g}"), partial(challenger, rows, difference))


def _defaults() -> Iterator[Row]:
    def row(gate: Gate, model: str, metric: str, rows: int, draw: Draw) -> Row:
        first = (gate.name or "", model, metric, f"{rows:,}")
        return Row(DEFAULTS, first, partial(shares, gate, metric, draw))

    shuffled = "trained on shuffled labels"
    for rows in (10, 12, 20, 30, 60, 150, 500, 1000):
        yield row(BASELINE, shuffled, "roc_auc", rows, _of_area(rows, 0.5, 0.5))
    for rows in (60, 500):
        thirds = partial(samples.means_of_classes, shares=(0.5, 0.3, 0.2), recalls=(1 / 3,) * 3, less=1 / 3)
        yield row(BASELINE, shuffled, "balanced_accuracy", rows, _drawn(thirds, rows=rows))
    for rows in (60, 500):
        yield row(BASELINE, shuffled, "r2", rows, _drawn(samples.useless, rows=rows, spread=0.1))
    for true in (0.6, 0.7):
        for rows in (60, 150, 500):
            yield row(BASELINE, f"its true value is {true}", "roc_auc", rows, _of_area(rows, true, 0.5))
    for difference, model in ((0.0, "as good as the champion"), (CLEARLY, f"worse by {-CLEARLY}")):
        for rows in (60, 150, 500, 1000):
            draw = _drawn(samples.area_differences, rows=rows, difference=difference)
            yield row(EQUAL, model, "roc_auc", rows, draw)


def _coverage() -> Iterator[Row]:
    def row(metric: str, rows: str, true: float, draw: Draw) -> Row:
        return Row(COVERAGE, (metric, rows), partial(covered, true, draw))

    for rows in (60, 500):
        name = f"{rows:,}"
        yield row("accuracy 0.8", name, 0.8, _drawn(samples.hits, rows=rows, true=0.8))
        recalls = partial(samples.means_of_classes, shares=(0.7, 0.3), recalls=(0.9, 0.7))
        yield row("balanced_accuracy 0.8", name, 0.8, _drawn(recalls, rows=rows))
        yield row(
            "roc_auc 0.856", name, samples.area(samples.APART), _of_area(rows, samples.area(samples.APART))
        )
        for metric, true, measure in (
            ("rmse 0.5", 0.5, samples.root_mean_square),
            ("r2 0.75", 0.75, samples.explained),
        ):
            yield row(metric, name, true, _drawn(samples.errors, rows=rows, noise=0.5, measure=measure))
        difference = _drawn(samples.area_differences, rows=rows, difference=0.0)
        yield row("difference of two roc_auc", name, 0.0, difference)
    for groups in (30, 200):
        draw = _drawn(samples.hits_of_groups, groups=groups, each=5, true=0.8)
        yield row("accuracy 0.8", f"{groups} groups of 5", 0.8, draw)


def _needed() -> Iterator[Row]:
    def areas(difference: float) -> DrawOf:
        return lambda chance, rows, repeats: samples.area_differences(chance, rows, difference, repeats)

    def hits(better: float, worse: float) -> DrawOf:
        return lambda chance, rows, repeats: samples.hit_differences(chance, rows, better, worse, repeats)

    def row(gate: Gate, metric: str, name: str, rows: int, draw: DrawOf) -> Row:
        return Row(NEEDED, (metric, name, f"{rows:,}"), partial(needed, gate, metric, rows, draw))

    accuracy = NOT_WORSE.model_copy(update={"metric": "accuracy"})
    yield row(NOT_WORSE, "roc_auc", "worse by 0.054", 75, areas(CLEARLY))
    yield row(NOT_WORSE, "roc_auc", "better by 0.03", 150, areas(0.03))
    yield row(accuracy, "accuracy", "equal", 500, hits(0.05, 0.05))
    yield row(accuracy, "accuracy", "better by 0.01", 500, hits(0.06, 0.05))
    yield row(accuracy, "accuracy", "worse by 0.03", 500, hits(0.03, 0.06))


def _of_area(rows: int, true: float, less: float = 0.0) -> Draw:
    return _drawn(samples.area_values, rows=rows, true=true, less=less)


def _drawn(draw: Callable[..., Iterable[Found]], **settings: Any) -> Draw:
    return lambda chance, repeats: draw(chance, repeats=repeats, **settings)
