"""Measures a classifier. A class without rows in the hold-out counts in no mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modelwright_training.documents import Class
from modelwright_training.errors import listing
from modelwright_training.judging import intervals, scorers, tables
from modelwright_training.judging.intervals import Interval, wilson
from modelwright_training.judging.metrics import Measured, Metric, Rows, constant, few, finite, no_better
from modelwright_training.judging.scored import Mask, Part, Scored, Some
from modelwright_training.judging.scorers import Codes, Floats, Scorer
from modelwright_training.judging.tables import rounded
from modelwright_training.message import Json
from modelwright_training.onnxfile.predictions import Predictions
from modelwright_training.onnxfile.session import Array

OF_LABELS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
PROPORTIONS = ("accuracy", "precision", "recall")
OF_RANKS = ("roc_auc", "average_precision")
OF_PROBABILITIES = ("log_loss", "brier_score", "expected_calibration_error")
OF_POSITIVE = ("precision", "recall", "f1", *OF_RANKS)


def classification(
    truth: Array,
    predictions: Predictions,
    classes: Sequence[Class],
    known: Sequence[Class],
    trained: Array,
    positive: Class | None,
    rows: Rows,
) -> Measured:
    """Measure a classifier.

    `classes` are the model's, in the order of its columns; `known` are those of the whole data; `trained` holds the
    classes of the training rows; `positive` is the positive class of two."""
    found = classified(truth, predictions, classes, known, trained, positive)
    codes, everything, place = found.codes, found.codes.names, found.place
    scored, baseline = found.scored(rows.groups), found.baseline(rows.groups)
    values, always = scored.values(), baseline.values()
    omitted = _why_not(values, found)
    values = {name: value for name, value in values.items() if name not in omitted}
    costly = scored.costly(OF_RANKS)
    drawn = _intervals(scored, list(values), rows)
    everyone = np.ones(len(truth), dtype=bool)
    counted = PROPORTIONS if place is not None else PROPORTIONS[:1]
    metrics = [
        Metric(
            name,
            value,
            drawn.values.get(name) or (scored.exact(name, value, everyone) if name in counted else None),
            finite(always[name]),
            positive if place is not None and name in OF_POSITIVE else None,
        )
        for name, value in values.items()
    ]
    likeliest = everything[codes.majority]
    evaluation = {
        **({} if place is None else {"positiveClass": positive}),
        "averaging": "Macro" if place is None else "Binary",
        "trainRows": len(trained),
        "holdoutRows": len(truth),
        "baseline": {"label": likeliest},
        "intervals": rows.document(drawn.resamples),
        "classes": tables.per_class(everything, codes.trained, codes.truth, codes.answered),
    }
    matrix = tables.confusion(everything, codes.truth, codes.answered)
    evaluation |= {"confusion": matrix} if matrix else {}
    curves: Json = {}
    if place is not None and found.ranks and not {"roc_auc"} & omitted.keys():
        masks, columns = found.ranks
        curves["roc"] = [[rounded(x), rounded(y)] for x, y in scorers.roc_points(masks[0], columns[0])]
    if found.table is not None:
        evaluation |= _of_table(codes, found.table, classes, everything, place)
    notes = [
        *_absent(everything, known, codes),
        *_unknown(known, everything, codes),
        *no_better(metrics, f"always answering {likeliest!r}"),
        *constant(metrics, OF_RANKS if costly else ()),
        *([f"{', '.join(OF_RANKS)}: no interval, which would take too long"] if costly else []),
        *few(len(truth), rows),
    ]
    return Measured(metrics, omitted, evaluation | {"notes": notes}, curves, scored, baseline)


class Coded:
    """The classes of rows as numbers: their place among all classes."""

    def __init__(self, everything: Sequence[Class], truth: Array, answered: Array, trained: Array) -> None:
        names = np.asarray(everything)
        self.truth, self.answered, self.trained = (
            np.searchsorted(names, values).astype(np.int64) for values in (truth, answered, trained)
        )
        self.names = everything
        self.there = np.bincount(self.truth, minlength=len(everything))
        self.learnt = np.bincount(self.trained, minlength=len(everything))
        self.majority = int(self.learnt.argmax())

    def strange(self, classes: Sequence[Class]) -> list[Class]:
        """The classes of the hold-out that the model does not know."""
        known = set(classes)
        return [
            self.names[place]
            for place in np.flatnonzero(self.there).tolist()
            if self.names[place] not in known
        ]


@dataclass(frozen=True)
class Classified:
    """What a classifier answered for rows whose classes are known.

    `place`: the number of the positive class of two. `ranks`: for each class that is ranked, which rows are of it and
    their scores. `table`: the probabilities, a column per class of the model."""

    codes: Coded
    classes: Sequence[Class]
    predictions: Predictions
    place: int | None
    ranks: tuple[list[Mask], list[Floats]] | None
    table: Floats | None

    def scored(self, groups: Codes | None = None) -> Scored:
        """Its metrics. `groups`: the number of each row's group, if rows belong together."""
        codes = self.codes
        parts = [Part(OF_LABELS, self._of_labels)]
        if self.ranks:
            parts.append(Part(OF_RANKS, self._of_ranks, len(self.ranks[0])))
        if self.table is not None:
            parts.append(Part(OF_PROBABILITIES, self._of_probabilities))
        why = {
            name: self._unknown() or "the model answers no probabilities"
            for part, names in ((self.ranks, OF_RANKS), (self.table, OF_PROBABILITIES))
            if part is None
            for name in names
        }

        def exact(name: str, value: float, rows: Mask) -> Interval | None:
            return _exact(name, value, codes, self.place, groups, rows)

        return Scored(len(codes.truth), tuple(parts), groups, why, self.predictions, self.table, exact)

    def baseline(self, groups: Codes | None = None) -> Scored:
        """The metrics of a model that always answers the class with most training rows, with the classes' shares among
        the training rows as probabilities. Each class is one row, as often as its rows weigh."""
        codes = self.codes
        there = np.flatnonzero(codes.there)
        shares = codes.learnt / codes.learnt.sum()
        answered = np.full(len(there), codes.majority)
        places = range(len(codes.names)) if self.place is None else [self.place]
        masks = [there == own for own in places]

        def of_classes(scorer: Scorer) -> Callable[[Some], Scorer]:
            def among(rows: Some) -> Scorer:
                truth = codes.truth[rows]
                return lambda weights: scorer(
                    np.bincount(truth, weights, len(codes.names))[there].astype(np.float64)
                )

            return among

        return Scored(
            len(codes.truth),
            tuple(
                Part(names, of_classes(scorer))
                for names, scorer in (
                    (OF_LABELS, scorers.of_labels(there, answered, len(codes.names), self.place)),
                    (OF_RANKS, scorers.of_ranks(masks, [np.zeros(len(there))] * len(masks))),
                    (OF_PROBABILITIES, scorers.of_probabilities(there, np.tile(shares, (len(there), 1)))),
                )
            ),
            groups,
        )

    def _of_labels(self, rows: Some) -> Scorer:
        codes = self.codes
        return scorers.of_labels(codes.truth[rows], codes.answered[rows], len(codes.names), self.place)

    def _of_ranks(self, rows: Some) -> Scorer:
        masks, columns = self.ranks or ([], [])
        return scorers.of_ranks([mask[rows] for mask in masks], [column[rows] for column in columns])

    def _of_probabilities(self, rows: Some) -> Scorer:
        assert self.table is not None  # noqa: S101 (else it is no part)
        own = {label: column for column, label in enumerate(self.classes)}
        columns = np.array([own.get(label, -1) for label in self.codes.names])
        return scorers.of_probabilities(columns[self.codes.truth[rows]], self.table[rows])

    def _unknown(self) -> str | None:
        strange = self.codes.strange(self.classes)
        return f"the hold-out has class {strange[0]!r}, which the model does not know" if strange else None


def classified(
    truth: Array,
    predictions: Predictions,
    classes: Sequence[Class],
    known: Sequence[Class],
    trained: Array,
    positive: Class | None,
) -> Classified:
    """Lay out what a classifier answered; the arguments are those of `classification`."""
    labels = predictions.labels
    assert labels is not None  # noqa: S101 (a classifier has labels)
    codes = Coded(sorted({*known, *classes, *labels.tolist()}), truth, labels, trained)
    place = None if positive is None or len(known) > 2 else codes.names.index(positive)
    if codes.strange(classes):
        return Classified(codes, classes, predictions, place, None, None)
    table = predictions.probabilities
    table = None if table is None else table.clip(0, 1)  # float32 sums overshoot
    return Classified(codes, classes, predictions, place, _ranks(codes, predictions, classes, place), table)


def _ranks(
    codes: Coded, predictions: Predictions, classes: Sequence[Class], place: int | None
) -> tuple[list[Mask], list[Floats]] | None:
    """For each class that is ranked, which rows are of it and their scores: probabilities, else decision values."""
    table = predictions.probabilities if predictions.probabilities is not None else predictions.scores
    if table is None or len(classes) < 2:
        return None
    if place is None:
        if table.shape[1] != len(classes):
            return None
        places = [codes.names.index(label) for label in classes]
        return [codes.truth == own for own in places], list(table.T)
    if len(classes) != 2 or table.shape[1] > 2:
        return None
    second = table[:, -1] - (table[:, 0] if table.shape[1] == 2 else 0)
    own = codes.names[place]
    return [codes.truth == place], [second if classes[1] == own else -second]


def _intervals(scored: Scored, names: Sequence[str], drawn: Rows) -> intervals.Intervals:
    """The intervals of all metrics; of many classes and rows, without those that take a pass for each class."""
    costly = scored.costly(OF_RANKS)
    quick = [name for name in names if not (costly and name in OF_RANKS)]
    count = intervals.resamples(scored.rows, 3 + (0 if costly else scored.passes(OF_RANKS)))
    return intervals.bootstrap(scored.scorer(quick), scored.rows, drawn.groups, drawn.seed, count, quick)


def _exact(
    name: str, value: float, codes: Coded, place: int | None, groups: Codes | None, rows: Mask
) -> Interval | None:
    """The interval of a metric that is the same in all resamples because it is 0 or 1.

    accuracy, precision and recall are shares of some rows. The others are 0 or 1 if each class is all wrong or all
    right; they are no surer than the share of the rarest of these."""
    if value not in (0.0, 1.0) or name not in (*OF_LABELS, *OF_RANKS):
        return None
    if name == "accuracy":
        chosen = [rows]
    elif place is not None and name in PROPORTIONS:
        chosen = [rows & ((codes.answered if name == "precision" else codes.truth) == place)]
    else:
        chosen = [rows & (codes.truth == own) for own in np.flatnonzero(codes.there)]
    units = [int(some.sum()) if groups is None else len(np.unique(groups[some])) for some in chosen]
    count = min((unit for unit in units if unit), default=0)
    return wilson(value * count, count) if count else None


def _of_table(
    codes: Coded, table: Floats, classes: Sequence[Class], everything: Sequence[Class], place: int | None
) -> Json:
    """Thresholds and calibration: of the positive class, or of whatever class is answered."""
    if place is None or len(classes) != 2:
        names = np.array([everything.index(label) for label in classes])
        best = table.argmax(axis=1)
        return {"calibration": tables.calibration(names[best] == codes.truth, table.max(axis=1))}
    probability = table[:, classes.index(everything[place])]
    mask = codes.truth == place
    return {
        "thresholds": tables.thresholds(mask, probability),
        "calibration": tables.calibration(mask, probability),
    }


def _why_not(values: dict[str, float], found: Classified) -> dict[str, str]:
    """Why metrics have no value."""
    codes, place = found.codes, found.place
    missing = dict(found.scored().why)
    seen = [codes.names[own] for own in np.flatnonzero(codes.there).tolist()]
    for name in (name for name, value in values.items() if not np.isfinite(value)):
        if len(seen) == 1:
            missing[name] = f"all rows of the hold-out are of class {seen[0]!r}"
        elif place is not None:
            missing[name] = f"the model answers {codes.names[place]!r} in no row of the hold-out"
    return missing


def _absent(everything: Sequence[Class], known: Sequence[Class], codes: Coded) -> list[str]:
    absent = [
        label for label, rows in zip(everything, codes.there, strict=True) if not rows and label in known
    ]
    if not absent:
        return []
    if len(absent) == 1:
        return [f"the hold-out has no row of class {absent[0]!r:.60}, so no metric counts it"]
    return [
        f"the hold-out has no rows of {len(absent)} classes, so no metric counts them: {_listing(absent)}"
    ]


def _unknown(known: Sequence[Class], everything: Sequence[Class], codes: Coded) -> list[str]:
    names = [label for label in everything if label not in known]
    rows = int(np.isin(codes.answered, [everything.index(label) for label in names]).sum())
    if not rows:
        return []
    return [f"the model answers classes that the data does not have ({_listing(names)}) in {rows} rows"]


def _listing(labels: Sequence[Class]) -> str:
    return listing([str(label)[:60] for label in labels], 5)
