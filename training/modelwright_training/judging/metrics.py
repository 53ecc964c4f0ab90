"""What measuring a model finds: metrics with intervals and baselines, tables, and notes that a reader should know.

A metric without a value is left out, and said why."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelwright_training.documents import Class
from modelwright_training.judging import intervals
from modelwright_training.judging.intervals import Interval
from modelwright_training.judging.scored import Scored
from modelwright_training.judging.scorers import Codes
from modelwright_training.judging.tables import rounded
from modelwright_training.message import Json

# Fewer rows make rough numbers, whatever the intervals say.
FEW_ROWS = 30


@dataclass(frozen=True)
class Metric:
    """A finite value, its 95 % interval, the value of the baseline, and the class that it is about."""

    name: str
    value: float
    interval: Interval | None = None
    baseline: float | None = None
    positive_class: Class | None = None

    def document(self) -> Json:
        """As it stands in documents."""
        found: Json = {"name": self.name, "value": rounded(self.value)}
        if self.interval is not None:
            found |= {"low": rounded(self.interval[0]), "high": rounded(self.interval[1])}
        if self.baseline is not None:
            found["baseline"] = rounded(self.baseline)
        return found | ({} if self.positive_class is None else {"positiveClass": self.positive_class})


@dataclass(frozen=True)
class Measured:
    """What was found: metrics, why others have no value, the tables, and points of curves for the card.

    `scored`, `baseline`: the same metrics as functions of the rows' weights."""

    metrics: list[Metric]
    omitted: dict[str, str]
    evaluation: Json
    curves: Json
    scored: Scored
    baseline: Scored


@dataclass(frozen=True)
class Rows:
    """How the rows of the hold-out are drawn again for intervals; `groups`: the number of each row's group."""

    seed: int
    groups: Codes | None = None
    column: str | None = None

    @classmethod
    def of(cls, digest: str, groups: Codes | None = None, column: str | None = None) -> "Rows":
        """Drawn from a seed that the model's digest gives."""
        return cls(int(digest.removeprefix("sha256:")[:16], 16), groups, column)

    def document(self, count: int) -> Json:
        """How the intervals came about."""
        found: Json = {"level": intervals.LEVEL, "resamples": count}
        if self.groups is None:
            return found | {"unit": "Row"}
        groups = int(self.groups.max()) + 1
        return found | {"unit": "Group", "column": self.column, "groups": groups}


# The metrics that have to be above the baseline for a model to be of use, and what the baseline is where it is not
# the one that the metric's row names.
ABOVE: dict[str, Callable[[str], str]] = {
    "roc_auc": lambda _: "guessing",
    "accuracy": lambda always: always,
    "r2": lambda always: always,
}


def finite(value: float | None) -> float | None:
    """The value, or None for what is no number."""
    return value if value is not None and math.isfinite(value) else None


def no_better(metrics: Sequence[Metric], always: str) -> list[str]:
    """A note for each metric whose interval does not lie above its baseline."""
    return [
        f"{metric.name} {_with_interval(metric)} is not clearly above {metric.baseline:.4g}, "
        f"that of {ABOVE[metric.name](always)}"
        for metric in metrics
        if metric.name in ABOVE
        and metric.baseline is not None
        and (metric.interval[0] if metric.interval else metric.value) <= metric.baseline
    ]


def _with_interval(metric: Metric) -> str:
    if metric.interval is None:
        return f"{metric.value:.4g}"
    return f"{metric.value:.4g} ({metric.interval[0]:.4g} to {metric.interval[1]:.4g})"


def constant(metrics: Sequence[Metric], known: Sequence[str] = ()) -> list[str]:
    """A note on metrics without an interval but those whose reason is known."""
    without = [metric.name for metric in metrics if metric.interval is None and metric.name not in known]
    if not without:
        return []
    return [f"{', '.join(without)}: the hold-out is too small or too uniform for an interval"]


def few(count: int, rows: Rows) -> list[str]:
    """A note on a hold-out of few rows or groups."""
    units = count if rows.groups is None else int(rows.groups.max()) + 1
    what = "rows" if rows.groups is None else "groups"
    return [f"the hold-out has only {units} {what}: its numbers are rough"] if units < FEW_ROWS else []
