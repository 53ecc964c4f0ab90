"""Measures a classifier. A class without rows in the hold-out counts in no mean."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelwright_training.documents import Class
from modelwright_training.errors import listing
from modelwright_training.judging import intervals, scorers, tables
from modelwright_training.judging.intervals import Interval, wilson
from modelwright_training.judging.metrics import Measured, Metric, Rows, constant, few, no_better
from modelwright_training.judging.scorers import Codes, Floats, Scorer
from modelwright_training.judging.tables import rounded
from modelwright_training.message import Json
from modelwright_training.onnxfile.predictions import Predictions
from modelwright_training.onnxfile.session import Array

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
    labels = predictions.labels
    assert labels is not None  # noqa: S101 (a classifier has labels)
    everything: list[Class] = sorted({*known, *classes, *labels.tolist()})
    codes = Coded(everything, truth, labels, trained)
    place = None if positive is None or len(known) > 2 else everything.index(positive)
    ranks = None if codes.strange(classes) else _ranks(codes, predictions, classes, place)
    table = None if codes.strange(classes) else predictions.probabilities
    parts = [scorers.of_labels(codes.truth, codes.answered, len(everything), place)]
    parts += [scorers.of_ranks(*ranks)] if ranks else []
    if table is not None:
        columns = np.array([classes.index(label) if label in classes else -1 for label in everything])
        table = table.clip(0, 1)  # float32 sums overshoot
        parts.append(scorers.of_probabilities(columns[codes.truth], table))
    values = scorers.together(*parts)(np.ones(len(truth)))
    omitted = _why_not(values, codes, predictions, classes, place)
    values = {name: value for name, value in values.items() if name not in omitted}
    curves_drawn = len(ranks[0]) if ranks else 0
    costly = _costly(len(truth), curves_drawn)
    found = _intervals(parts, values, len(truth), curves_drawn, rows)
    baseline = _majority(codes, known, place)
    metrics = [
        Metric(
            name,
            value,
            found.values.get(name) or _proportion(name, value, codes, place, rows.groups),
            baseline.get(name),
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
        "intervals": rows.document(found.resamples),
        "classes": tables.per_class(everything, codes.trained, codes.truth, codes.answered),
    }
    matrix = tables.confusion(everything, codes.truth, codes.answered)
    evaluation |= {"confusion": matrix} if matrix else {}
    curves: Json = {}
    if place is not None and ranks and not {"roc_auc"} & omitted.keys():
        curves["roc"] = [[rounded(x), rounded(y)] for x, y in scorers.roc_points(ranks[0][0], ranks[1][0])]
    if table is not None:
        evaluation |= _of_table(codes, table, classes, everything, place)
    notes = [
        *_absent(everything, known, codes),
        *_unknown(known, everything, codes),
        *no_better(metrics, f"always answering {likeliest!r}"),
        *constant(metrics, OF_RANKS if costly else ()),
        *([f"{', '.join(OF_RANKS)}: no interval, which would take too long"] if costly else []),
        *few(len(truth), rows),
    ]
    return Measured(metrics, omitted, evaluation | {"notes": notes}, curves)


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


def _ranks(
    codes: Coded, predictions: Predictions, classes: Sequence[Class], place: int | None
) -> tuple[list[npt.NDArray[np.bool_]], list[Floats]] | None:
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


def _costly(rows: int, curves: int) -> bool:
    """Whether a pass over the rows for each class and resample would take too long."""
    return curves > 1 and rows * curves * intervals.LEAST > 4 * intervals.WORK


def _intervals(
    parts: list[Scorer], values: dict[str, float], rows: int, curves: int, drawn: Rows
) -> intervals.Intervals:
    """The intervals of all metrics; of many classes and rows, without those that take a pass for each class."""
    costly = _costly(rows, curves)
    names = [name for name in values if not (costly and name in OF_RANKS)]
    if costly:
        parts = [part for part in parts if not set(OF_RANKS) & part(np.ones(rows)).keys()]
    count = intervals.resamples(rows, 3 + (0 if costly else curves))
    return intervals.bootstrap(scorers.together(*parts), rows, drawn.groups, drawn.seed, count, names)


def _majority(codes: Coded, known: Sequence[Class], place: int | None) -> dict[str, float]:
    """The metrics of a model that always answers the class with most training rows, with the classes' shares among
    the training rows as probabilities. Each class is one row, as often as the hold-out has it."""
    there = np.flatnonzero(codes.there)
    shares = codes.learnt / codes.learnt.sum()
    answered = np.full(len(there), codes.majority)
    masks = [there == own for own in (range(len(codes.names)) if place is None else [place])]
    scorer = scorers.together(
        scorers.of_labels(there, answered, len(codes.names), place),
        scorers.of_ranks(masks, [np.zeros(len(there))] * len(masks)),
        scorers.of_probabilities(there, np.tile(shares, (len(there), 1))),
    )
    values = scorer(codes.there[there].astype(np.float64))
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _proportion(
    name: str, value: float, codes: Coded, place: int | None, groups: Codes | None
) -> Interval | None:
    """The interval of a proportion that is the same in all resamples because it is 0 or 1."""
    if value not in (0.0, 1.0):
        return None
    chosen: dict[str, npt.NDArray[np.bool_]] = {"accuracy": np.ones(len(codes.truth), dtype=bool)}
    if place is not None:
        chosen |= {"precision": codes.answered == place, "recall": codes.truth == place}
    if name not in chosen:
        return None
    count = int(chosen[name].sum()) if groups is None else len(np.unique(groups[chosen[name]]))
    return wilson(value * count, count)


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


def _why_not(
    values: dict[str, float],
    codes: Coded,
    predictions: Predictions,
    classes: Sequence[Class],
    place: int | None,
) -> dict[str, str]:
    """Why metrics have no value."""
    strange = codes.strange(classes)
    unknown = f"the hold-out has class {strange[0]!r}, which the model does not know" if strange else None
    missing = {
        name: unknown or "the model answers no probabilities"
        for name in (*OF_RANKS, *OF_PROBABILITIES)
        if name not in values
    }
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
