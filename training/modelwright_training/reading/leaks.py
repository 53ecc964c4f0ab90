"""Looks for features that predict the target alone: usually they are only known once the target is.

Each feature is scored by itself over rows to learn from, at most 20,000: ROC AUC for two classes, in either direction;
else the balanced accuracy (Brodersen et al., The balanced accuracy and its posterior distribution, 2010), R2 for a
regression. What a feature predicts for a row is taken from other rows: the mean target of the same category, or of the
nearest numbers, cross-validated in three parts, so that a category of a single row predicts nothing. Rows of a group,
and equal rows, are of one part. Columns of text are not looked at."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.documents import Leak, LeakCheck, Statistic
from modelwright_training.errors import InputError
from modelwright_training.reading import dates
from modelwright_training.reading.column import Column
from modelwright_training.reading.equal_rows import Ids, coded
from modelwright_training.reading.holdout import Split
from modelwright_training.untyped import ArrowArray

Floats = npt.NDArray[np.float64]

MAX_ROWS = 20_000
MAX_CLASSES = 50
# With fewer rows of a class, or in all for a regression, good scores come by chance. A group counts as one.
MIN_CLASS_ROWS = 10
MIN_ROWS = 30
PARTS = 3
NEIGHBOURS = 10
SHOWN = 5
NAMES: dict[Statistic, str] = {"roc_auc": "ROC AUC", "balanced_accuracy": "balanced accuracy", "r2": "R2"}


def find(
    columns: Iterable[Column], target: ArrowArray, classification: bool, split: Split, threshold: float
) -> list[Leak]:
    """The features whose score is at least the threshold, the best first."""
    chosen = _Sample.of(target, classification, split)
    if chosen is None:
        return []
    found = []
    for column in columns:
        if column.kind != "text":
            score = chosen.score(column)
            if score >= threshold:
                found.append(Leak(feature=column.name, statistic=chosen.statistic, score=score))
    return sorted(found, key=lambda leak: -leak.score)


def tell(leaks: list[Leak], check: LeakCheck) -> list[str]:
    """A note that names the leaks; refuses them where that was asked for."""
    if not leaks:
        return []
    shown = ", ".join(f"{leak.feature!r} {leak.score:.3f}" for leak in leaks[:SHOWN])
    more = f" and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
    what = f"leak suspected: predicts the target alone ({NAMES[leaks[0].statistic]}): {shown}{more}"
    if check.on_leak == "Refuse":
        raise InputError(
            "LeakSuspected",
            f"{what[0].upper()}{what[1:]}. Leave these columns out with data.exclude if they are known only after "
            "the target; else raise data.leakCheck.threshold or set onLeak: Warn.",
        )
    return [what]


class _Sample:
    """Rows to score features on: their numbers, targets (a column for each class, or one), and parts for validation."""

    def __init__(self, rows: Ids, classes: Ids | None, targets: Floats, part: Ids) -> None:
        self.rows, self.classes, self.targets, self.part = rows, classes, targets, part
        self.statistic: Statistic = (
            "r2" if classes is None else "roc_auc" if targets.shape[1] == 2 else "balanced_accuracy"
        )

    @classmethod
    def of(cls, target: ArrowArray, classification: bool, split: Split) -> "_Sample | None":
        """At most 20,000 rows, as many of each class where there are enough; None where there are too few."""
        random = np.random.default_rng(0)
        shuffled, units = random.permutation(split.train), split.units
        part = random.permutation(units.max() + 1)[units] % PARTS
        if not classification:
            rows = shuffled[:MAX_ROWS]
            values = _floats(target.take(pa.array(rows)))
            if len(np.unique(units[rows])) < MIN_ROWS or values.std() == 0:
                return None
            return cls(rows, None, (values - values.mean())[:, None], part[rows])
        codes = coded(target)[0][shuffled]
        counts = np.bincount(codes)
        candidates = np.argsort(-counts, kind="stable")[:MAX_CLASSES]
        by_class = [shuffled[codes == label] for label in candidates]
        by_class = [rows for rows in by_class if len(np.unique(units[rows[:MAX_ROWS]])) >= MIN_CLASS_ROWS]
        if len(by_class) < 2:
            return None
        by_class = [rows[: MAX_ROWS // len(by_class)] for rows in by_class]
        classes = np.repeat(np.arange(len(by_class)), [len(rows) for rows in by_class])
        chosen = np.concatenate(by_class)
        return cls(chosen, classes, np.eye(len(by_class))[classes], part[chosen])

    def score(self, column: Column) -> float:
        """How well a column alone predicts the target."""
        values = column.values.take(pa.array(self.rows))
        if column.kind == "categorical":
            return self._judge(self._by_category(coded(values)[0]))
        is_date = column.kind == "date"
        numbers = dates.instants(values.cast(pa.string()), str(column.format)) if is_date else _floats(values)
        return max(self._judge(self._by_neighbours(numbers)), self._directly(numbers))

    def _by_category(self, codes: Ids) -> Floats:
        predicted = np.empty_like(self.targets)
        for part in range(PARTS):
            test, known = self.part == part, self.part != part
            sums = np.stack(
                [np.bincount(codes[known], column, codes.max() + 1) for column in self.targets[known].T], 1
            )
            counts = np.bincount(codes[known], minlength=codes.max() + 1)[:, None]
            means = np.where(counts > 0, sums / np.maximum(counts, 1), self.targets[known].mean(axis=0))
            predicted[test] = means[codes[test]]
        return predicted

    def _by_neighbours(self, numbers: Floats) -> Floats:
        """The mean target of the nearest numbers, equal ones all; of missing ones for a missing one."""
        predicted = np.empty_like(self.targets)
        missing = np.isnan(numbers)
        for part in range(PARTS):
            test, known = self.part == part, self.part != part
            for test_rows, known_rows in (
                (test & missing, known & missing),
                (test & ~missing, known & ~missing),
            ):
                if not known_rows.any():
                    predicted[test_rows] = self.targets[known].mean(axis=0)
                elif missing[test_rows].any():
                    predicted[test_rows] = self.targets[known_rows].mean(axis=0)
                else:
                    predicted[test_rows] = _means(
                        numbers[known_rows], self.targets[known_rows], numbers[test_rows]
                    )
        return predicted

    def _judge(self, predicted: Floats) -> float:
        if self.classes is None:
            truth = self.targets[:, 0]
            return float(1 - ((truth - predicted[:, 0]) ** 2).sum() / (truth**2).sum())
        if self.statistic == "roc_auc":
            return _auc(predicted[:, 1], self.classes)
        right = predicted.argmax(axis=1) == self.classes
        return float(np.mean([right[self.classes == label].mean() for label in range(self.targets.shape[1])]))

    def _directly(self, numbers: Floats) -> float:
        """The score of the numbers as they are; missing ones are the smallest or the largest."""
        if self.statistic == "balanced_accuracy":
            return 0.0
        there = ~np.isnan(numbers)
        if self.classes is None:
            if there.sum() < MIN_ROWS or numbers[there].std() == 0:
                return 0.0
            return float(np.corrcoef(numbers[there], self.targets[there, 0])[0, 1] ** 2)
        low, high = (np.where(there, numbers, end) for end in (-np.inf, np.inf))
        scores = [_auc(low, self.classes), _auc(high, self.classes)]
        return max(*scores, *(1 - score for score in scores))


def _means(known: Floats, targets: Floats, asked: Floats) -> Floats:
    """The mean target of the known numbers nearest to each asked one, with all that are equal to them."""
    order = np.argsort(known, kind="stable")
    known = known[order]
    sums = np.vstack([np.zeros(targets.shape[1]), np.cumsum(targets[order], axis=0)])
    first, last = np.searchsorted(known, asked, "left"), np.searchsorted(known, asked, "right")
    # Equal numbers are enough; where there are none, as many neighbours on both sides.
    none = first == last
    low = np.where(none, np.maximum(first - NEIGHBOURS // 2, 0), first)
    high = np.where(none, np.minimum(last + NEIGHBOURS // 2, len(known)), last)
    means: Floats = (sums[high] - sums[low]) / (high - low)[:, None]
    return means


def _auc(scores: Floats, classes: Ids) -> float:
    """The area under the ROC curve of class 1 (Hanley and McNeil, 1982); equal scores count half."""
    distinct, places = np.unique(scores, return_inverse=True)
    counts = np.stack([np.bincount(places[classes == label], minlength=len(distinct)) for label in (0, 1)])
    below = np.cumsum(counts[0]) - counts[0] / 2
    return float((below * counts[1]).sum() / (counts[0].sum() * counts[1].sum()))


def _floats(values: ArrowArray) -> Floats:
    return np.asarray(
        pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64
    )
