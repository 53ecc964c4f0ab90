"""Compares what a model does for the groups of a sensitive feature, with fairlearn's names and definitions
(https://fairlearn.org/main/user_guide/assessment/common_fairness_metrics.html).

A rate that a group has no rows for has no value, and neither has what is made of it. fairlearn takes it for 0, and
leaves rows out that have no value in the sensitive feature; here these are a group of their own."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from modelwright_training.documents import Class
from modelwright_training.errors import listing, suggestion
from modelwright_training.judging import simultaneous
from modelwright_training.judging.gates.evidence import Unmeasurable
from modelwright_training.judging.intervals import Interval
from modelwright_training.judging.scorers import Codes, Floats
from modelwright_training.judging.simultaneous import Estimates
from modelwright_training.judging.tables import rounded
from modelwright_training.message import Json

Mask = npt.NDArray[np.bool_]

MOST_GROUPS, MOST_TABLES = 32, 8
MISSING = "missing"
SHOWN = 60
# What is compared, and how: the worst of several rates decides, as with fairlearn's agg="worst_case".
RATES = {
    "demographic_parity": ("selection_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity": ("true_positive_rate",),
}
ENDS = ("_group_min", "_group_max", "_difference", "_ratio")
# Of these a ratio says nothing: they may be negative.
WITHOUT_RATIO = ("r2",)


@dataclass(frozen=True)
class Groups:
    """The groups of a sensitive feature: their labels, in their order, and the number of each row's group.

    `missing`: the number of the group of rows without a value; None if all have one."""

    labels: list[str]
    codes: Codes
    missing: int | None = None

    @property
    def sizes(self) -> Codes:
        """The rows of each group."""
        return np.bincount(self.codes, minlength=len(self.labels))

    def without_few_missing(self, least: int) -> "tuple[Groups, Mask]":
        """The groups but the one of rows without a value if it has fewer than `least` rows; and the rows left."""
        if self.missing is None or self.sizes[self.missing] >= least:
            return self, np.ones(len(self.codes), dtype=bool)
        kept = self.codes != self.missing
        labels = [label for place, label in enumerate(self.labels) if place != self.missing]
        codes = self.codes[kept]
        return Groups(labels, np.where(codes > self.missing, codes - 1, codes)), kept


@dataclass(frozen=True)
class Answers:
    """What a model answered for some rows.

    `truth`, `answered`: classes, of a regression numbers. `positive`: the positive class of two; None for more.
    `units`: the number of what each row belongs to, if rows belong together."""

    truth: npt.NDArray[Any]
    answered: npt.NDArray[Any]
    classification: bool
    positive: Class | None = None
    units: Codes | None = None

    @property
    def metrics(self) -> "Mapping[str, Metric]":
        """The metrics that each group can have."""
        if not self.classification:
            return OF_VALUES
        return OF_CLASSES if self.positive is None else OF_TWO_CLASSES

    @property
    def names(self) -> list[str]:
        """All comparisons that there are."""
        of_rates = RATES if self.positive is not None else {}
        return [
            *(f"{name}{end}" for name in of_rates for end in ENDS[2:]),
            *(
                f"{name}{end}"
                for name in self.metrics
                for end in ENDS
                if not (end == "_ratio" and name in WITHOUT_RATIO)
            ),
        ]

    def of(self, rows: Mask) -> "Answers":
        """The same of some rows."""
        units = None if self.units is None else self.units[rows]
        return Answers(self.truth[rows], self.answered[rows], self.classification, self.positive, units)


@dataclass(frozen=True)
class Compared:
    """A comparison of groups: its value, its 95 % interval if it has one, and the ends in words.

    Of a group only those rows count that the metric is about: for a true positive rate those of the positive class."""

    value: float
    interval: Interval | None
    smallest: int
    message: str


Metric = Callable[[Answers, Groups], Estimates]


def groups_of(column: pd.Series, name: str) -> Groups:
    """The groups of a column, sorted by their labels; whole numbers have no decimals.

    Raises: Unmeasurable for a column of more than 32 values."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    labels = [_label(value) for value in values]
    empty = [place for place, label in enumerate(labels) if not label]
    codes = np.where(np.isin(codes, empty), -1, codes)
    there = sorted(set(labels) - {""})
    if len(there) > MOST_GROUPS:
        raise Unmeasurable(
            "TooManyGroups",
            f"{name!r} has {len(there)} values; groups are compared if they are at most {MOST_GROUPS}. Put bands of "
            "its values (age_band: 18-39, 40-64, ...) into a column of the data, and name that one in "
            "data.holdout.extraColumns",
        )
    places = np.array([there.index(label) if label else -1 for label in labels] + [-1])
    found = places[codes].astype(np.int64)
    if not (found < 0).any():
        return Groups(there, found)
    label = MISSING if MISSING not in there else f"{MISSING} (no value)"
    return Groups([*there, label], np.where(found < 0, len(there), found), len(there))


def _label(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def compare(metric: str, answers: Answers, groups: Groups, feature: str) -> Compared:
    """A comparison of the groups of a sensitive feature, by its name: equalized_odds_ratio, recall_group_min, ...

    Raises: Unmeasurable for an unknown name, for a single group, and where a group has no rows to measure it on."""
    if metric not in answers.names:
        raise Unmeasurable("UnknownMetric", _unknown(metric, answers))
    if len(groups.labels) < 2:
        only = groups.labels[0] if groups.labels else MISSING
        raise Unmeasurable("OneGroup", f"all rows are of one group of {feature!r}: {only!r:.{SHOWN}}")
    end = next(end for end in ENDS if metric.endswith(end))
    base = metric.removesuffix(end)
    names = RATES.get(base, (base,))
    found = {name: _estimates(name, answers, groups) for name in names}
    # The rates of one comparison are of different rows, so their intervals are independent.
    parts = [_end(end, name, own, len(found)) for name, own in found.items()]
    choose = min if end in {"_ratio", "_group_min"} else max
    value = choose(part[0] for part in parts)
    if not np.isfinite(value):
        raise Unmeasurable("MetricUndefined", f"{metric} has no value: {names[0]} is 0 in all groups")
    interval = simultaneous.worst([part[1] for part in parts], choose)
    return Compared(
        value,
        interval if np.isfinite(interval).all() else None,
        min(int(own.rows.min()) for own in found.values()),
        "; ".join(_ends(name, own, groups) for name, own in found.items()),
    )


def _estimates(name: str, answers: Answers, groups: Groups) -> Estimates:
    found = answers.metrics[name](answers, groups)
    absent = ~np.isfinite(found.values)
    if absent.any():
        label = groups.labels[int(np.flatnonzero(absent)[0])]
        raise Unmeasurable(
            "MetricUndefined", f"{name} has no value for group {label!r:.{SHOWN}}: {_why(name)}"
        )
    return found


def _end(end: str, name: str, found: Estimates, parts: int) -> tuple[float, Interval]:
    """A value of two groups, or of one, and its interval."""
    low, high = float(found.values.min()), float(found.values.max())
    if end == "_group_min":
        return low, simultaneous.smallest(found)
    if end == "_group_max":
        return high, simultaneous.largest(found)
    if end == "_difference":
        return high - low, simultaneous.difference(found, parts)
    if high == 0:
        raise Unmeasurable(
            "MetricUndefined",
            f"the ratio of {name} has no value: it is 0 in all groups. Compare by difference",
        )
    return low / high, simultaneous.ratio(found, parts)


def _ends(name: str, found: Estimates, groups: Groups) -> str:
    lowest, highest = int(found.values.argmin()), int(found.values.argmax())
    few = int(found.rows.argmin())
    ends = ", ".join(
        f"{word} {found.values[place]:.4g} for {groups.labels[place]!r:.{SHOWN}} ({found.rows[place]} rows)"
        for word, place in (("lowest", lowest), ("highest", highest))
    )
    fewest = (
        ""
        if few in (lowest, highest)
        else f", fewest rows {groups.labels[few]!r:.{SHOWN}} ({found.rows[few]})"
    )
    return f"{name} is {ends}{fewest}"


def _unknown(metric: str, answers: Answers) -> str:
    known = answers.names
    bases = listing(list(answers.metrics))
    if not answers.classification:
        what = f"of a regression there are {bases}"
    elif answers.positive is None:
        what = f"of more than two classes, none of which is the positive one, there are {bases}"
    else:
        what = f"there are {listing(list(RATES))} with _difference and _ratio, and {bases}"
    return f"{metric!r} compares no groups: {what} with {', '.join(ENDS)}.{suggestion(metric, known)}"


def _why(name: str) -> str:
    return {
        "true_positive_rate": "none of its rows is of the positive class",
        "false_negative_rate": "none of its rows is of the positive class",
        "recall": "none of its rows is of the positive class",
        "false_positive_rate": "all of its rows are of the positive class",
        "true_negative_rate": "all of its rows are of the positive class",
        "precision": "none of its rows is answered with the positive class",
        "f1": "none of its rows is of the positive class, or answered with it",
        "balanced_accuracy": "it does not have rows of all classes",
        "r2": "the target is the same in all of its rows",
    }.get(name, "it has no rows")


def tables(frame: pd.DataFrame, names: Iterable[str], answers: Answers) -> list[Json]:
    """How a model does for the groups of some columns: of the first eight that there are and that have few values."""
    found = []
    for name in dict.fromkeys(names):
        if name not in frame.columns:
            continue
        try:
            found.append(_table(groups_of(frame[name], name), name, answers))
        except Unmeasurable:
            continue
    return found[:MOST_TABLES]


def _table(groups: Groups, name: str, answers: Answers) -> Json:
    """A table of the groups with most rows, in their order."""
    sizes = groups.sizes
    kept = sorted(np.argsort(-sizes, kind="stable")[:MOST_GROUPS].tolist())
    found = {shown: answers.metrics[own](answers, groups).values for shown, own in _columns(answers).items()}
    rows = [
        {"group": groups.labels[place][:256], "rows": int(sizes[place])}
        | {
            shown: rounded(float(values[place]))
            for shown, values in found.items()
            if np.isfinite(values[place])
        }
        for place in kept
        if sizes[place]
    ]
    left = {"groupCount": len(groups.labels)} if len(groups.labels) > len(rows) else {}
    return {"feature": name, "groups": rows, **left}


def _columns(answers: Answers) -> Mapping[str, str]:
    if not answers.classification:
        return {"mae": "mae"}
    if answers.positive is None:
        return {"accuracy": "accuracy"}
    return {
        "selectionRate": "selection_rate",
        "accuracy": "accuracy",
        "truePositiveRate": "true_positive_rate",
        "falsePositiveRate": "false_positive_rate",
    }


def _share(hits: Callable[[Answers], Mask], among: Callable[[Answers], Mask]) -> Metric:
    """The share of hits among some rows."""

    def estimates(answers: Answers, groups: Groups) -> Estimates:
        chosen = among(answers)
        units = None if answers.units is None else answers.units[chosen]
        return simultaneous.shares(
            hits(answers)[chosen].astype(np.float64), groups.codes[chosen], len(groups.labels), units
        )

    return estimates


def _everyone(answers: Answers) -> Mask:
    return np.ones(len(answers.truth), dtype=bool)


def _right(answers: Answers) -> Mask:
    return np.asarray(answers.truth == answers.answered)


def _true(answers: Answers) -> Mask:
    return np.asarray(answers.truth == answers.positive)


def _selected(answers: Answers) -> Mask:
    return np.asarray(answers.answered == answers.positive)


def _false(answers: Answers) -> Mask:
    return ~_true(answers)


def _refused(answers: Answers) -> Mask:
    return ~_selected(answers)


def _f1(answers: Answers, groups: Groups) -> Estimates:
    """f1 rises with the share of hits among the rows that are or are answered positive (Jaccard): 2 j / (1 + j)."""
    jaccard = _share(lambda own: _true(own) & _selected(own), lambda own: _true(own) | _selected(own))
    return jaccard(answers, groups).mapped(lambda share: 2 * share / (1 + share))


def _balanced_accuracy(answers: Answers, groups: Groups) -> Estimates:
    """The mean of the recalls of all classes that the hold-out has."""

    def recall(label: object) -> Estimates:
        return _share(_right, lambda own: np.asarray(own.truth == label))(answers, groups)

    return simultaneous.averages([recall(label) for label in np.unique(answers.truth)])


def _errors(answers: Answers) -> Floats:
    return np.abs(answers.answered.astype(np.float64) - answers.truth.astype(np.float64))


def _mae(answers: Answers, groups: Groups) -> Estimates:
    return simultaneous.means(_errors(answers), groups.codes, len(groups.labels), answers.units)


def _rmse(answers: Answers, groups: Groups) -> Estimates:
    """In units of the largest error, so that squares cannot overflow."""
    errors = _errors(answers)
    unit = float(errors.max(initial=0)) or 1.0
    squares = simultaneous.means((errors / unit) ** 2, groups.codes, len(groups.labels), answers.units)
    return squares.mapped(lambda mean: np.sqrt(mean) * unit)


def _r2(answers: Answers, groups: Groups) -> Estimates:
    count = len(groups.labels)
    truth = answers.truth.astype(np.float64)
    unit = float(np.ptp(truth)) or 1.0
    centred = (truth - truth[0]) / unit
    rows = np.bincount(groups.codes, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = np.bincount(groups.codes, centred, count) / rows
    squares = (_errors(answers) / unit) ** 2
    spread = (centred - middle[groups.codes]) ** 2
    left = simultaneous.log_ratios(squares, spread, groups.codes, count, answers.units)
    # 1 - r2 rises where r2 falls: the ends change places.
    values = 1 - np.exp(left.values)

    def around(z: float) -> tuple[Floats, Floats]:
        low, high = left.around(z)
        return 1 - np.exp(high), 1 - np.exp(low)

    return Estimates(values, around, rows)


OF_CLASSES: dict[str, Metric] = {
    "accuracy": _share(_right, _everyone),
    "balanced_accuracy": _balanced_accuracy,
}
OF_TWO_CLASSES: dict[str, Metric] = {
    **OF_CLASSES,
    "precision": _share(_true, _selected),
    "recall": _share(_selected, _true),
    "f1": _f1,
    "selection_rate": _share(_selected, _everyone),
    "true_positive_rate": _share(_selected, _true),
    "false_positive_rate": _share(_selected, _false),
    "true_negative_rate": _share(_refused, _false),
    "false_negative_rate": _share(_refused, _true),
}
OF_VALUES: dict[str, Metric] = {"mae": _mae, "rmse": _rmse, "r2": _r2}
