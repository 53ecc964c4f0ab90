"""The metrics as functions of row weights: one computation gives the value, that of the baseline and the intervals.

A weight says how often a row counts. NaN: the metric has no value for these weights. With weights of 1 the values
are those of scikit-learn's function of the same name."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Scorer = Callable[[Floats], dict[str, float]]

CALIBRATION_BINS = 15
QUANTILES = (50, 90, 95, 99)
# A probability of 0 for the class that a row has would make the log loss infinite; scikit-learn has the same bound.
SMALLEST = float(np.finfo(np.float64).eps)
NAN = float("nan")


def of_labels(truth: Codes, answered: Codes, classes: int, positive: int | None) -> Scorer:
    """accuracy, balanced_accuracy, precision, recall and f1 of answered classes, given as numbers below `classes`.

    Two classes: precision, recall and f1 of the positive one; they and balanced_accuracy have no value where the rows
    are all of one class. More: the unweighted mean over the classes that have rows; a class that is never answered
    has precision 0."""
    right = truth == answered
    places = truth[right]

    def score(weights: Floats) -> dict[str, float]:
        hits = np.bincount(places, weights[right], classes).astype(
            np.float64
        )  # of no places it gives integers
        there = np.bincount(truth, weights, classes)
        said = np.bincount(answered, weights, classes)
        seen = there > 0
        found = {"accuracy": float(hits.sum() / weights.sum())}
        several = int(seen.sum()) > 1
        found["balanced_accuracy"] = float((hits[seen] / there[seen]).mean()) if several else NAN
        if positive is not None:
            hit, rows, answers = (float(counts[positive]) for counts in (hits, there, said))
            apart = several and rows > 0
            found["precision"] = hit / answers if apart and answers > 0 else NAN
            found["recall"] = hit / rows if apart else NAN
            found["f1"] = 2 * hit / (rows + answers) if apart else NAN
            return found
        hits, there, said = hits[seen], there[seen], said[seen]
        found["precision"] = float(np.divide(hits, said, out=np.zeros_like(hits), where=said > 0).mean())
        found["recall"] = float((hits / there).mean())
        found["f1"] = float((2 * hits / (there + said)).mean())
        return found

    return score


def of_ranks(is_class: Sequence[npt.NDArray[np.bool_]], scores: Sequence[Floats]) -> Scorer:
    """roc_auc and average_precision: the mean over classes, each against the rest, of those with rows on both sides.

    `is_class`, `scores`: for each class, which rows are of it, and how much the model takes each row for one of it."""
    curves = [_Curve(mask, column) for mask, column in zip(is_class, scores, strict=True)]

    def score(weights: Floats) -> dict[str, float]:
        pairs = np.array([curve.areas(weights) for curve in curves])
        there = ~np.isnan(pairs[:, 0])
        if not there.any():
            return {"roc_auc": NAN, "average_precision": NAN}
        area, precision = pairs[there].mean(axis=0)
        return {"roc_auc": float(area), "average_precision": float(precision)}

    return score


class _Curve:
    """The rows of one class against the rest, in descending order of their score."""

    def __init__(self, mask: npt.NDArray[np.bool_], scores: Floats) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.mask = mask[self.order].astype(np.float64)
        # Rows of equal score come together: their order among each other means nothing.
        self.ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """The weight of rows of the class, and of all rows, down to the end of each score."""
        ordered = weights[self.order]
        return np.cumsum(ordered * self.mask)[self.ends], np.cumsum(ordered)[self.ends]

    def areas(self, weights: Floats) -> tuple[float, float]:
        """The area under the ROC curve, and the average precision: sum of (R_n - R_n-1) P_n."""
        hits, rows = self.counts(weights)
        others = rows - hits
        if hits[-1] <= 0 or others[-1] <= 0:
            return NAN, NAN
        steps = np.diff(hits, prepend=0.0)
        area = float((np.diff(others, prepend=0.0) * (hits - steps / 2)).sum() / (hits[-1] * others[-1]))
        precision = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
        return area, float((steps * precision).sum() / hits[-1])


def roc_points(mask: npt.NDArray[np.bool_], scores: Floats, most: int = 101) -> list[tuple[float, float]]:
    """At most `most` points of the ROC curve, from (0, 0) to (1, 1): share of the others, share of the class."""
    hits, rows = _Curve(mask, scores).counts(np.ones(len(mask)))
    others = rows - hits
    points = np.column_stack([np.append(0.0, others / others[-1]), np.append(0.0, hits / hits[-1])])
    chosen = np.unique(np.linspace(0, len(points) - 1, min(len(points), most)).round().astype(int))
    return [(float(x), float(y)) for x, y in points[chosen]]


def of_probabilities(truth: Codes, table: Floats) -> Scorer:
    """log_loss, brier_score and expected_calibration_error of probabilities; `truth`: the column of each row's class.

    The Brier score of two classes is that of one of them, of more the sum over all, as in scikit-learn. The calibration
    error is the mean gap between the confidence in the likeliest class and how often it is right, over 15 bins of equal
    width (Guo et al., On Calibration of Modern Neural Networks, 2017)."""
    shares = table / table.sum(axis=1, keepdims=True)
    of_truth = shares[np.arange(len(truth)), truth]
    losses = -np.log(np.clip(of_truth, SMALLEST, 1.0))
    squares = (shares**2).sum(axis=1) - of_truth**2 + (1 - of_truth) ** 2
    squares = squares / 2 if table.shape[1] == 2 else squares
    calibration = calibration_error(shares.max(axis=1), shares.argmax(axis=1) == truth)

    def score(weights: Floats) -> dict[str, float]:
        total = weights.sum()
        return {
            "log_loss": float(weights @ losses / total),
            "brier_score": float(weights @ squares / total),
            "expected_calibration_error": calibration(weights),
        }

    return score


def calibration_error(confidence: Floats, right: npt.NDArray[np.bool_]) -> Callable[[Floats], float]:
    """The expected calibration error of answers that are right or not, given the confidence in each."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    excess = right - confidence

    def error(weights: Floats) -> float:
        gaps = np.bincount(bins, weights * excess, CALIBRATION_BINS)
        return float(np.abs(gaps).sum() / weights.sum())

    return error


def of_values(truth: Floats, values: Floats) -> Scorer:
    """mae, rmse, r2, mape and quantiles of the absolute error. r2 has no value for a constant target, mape none with
    zeros in it. The squares are computed in units of the largest error, so that they cannot overflow."""
    errors = np.abs(values - truth)
    unit = float(errors.max()) or 1.0
    squares = (errors / unit) ** 2
    spread = float(np.ptp(truth)) or 1.0
    zero = truth == 0
    relative = errors / np.where(zero, 1.0, np.abs(truth))
    order = np.argsort(errors, kind="stable")
    ranked = errors[order]

    def score(weights: Floats) -> dict[str, float]:
        total = weights.sum()
        loss = float(weights @ squares / total)
        found = {"mae": float(weights @ (errors / unit) / total) * unit, "rmse": float(np.sqrt(loss)) * unit}
        centred = (truth - truth[0]) / spread
        variance = float(weights @ (centred - weights @ centred / total) ** 2 / total)
        # Beyond 12 decimals it is what the difference from 1 has lost: the mean of the rows themselves gets 0.
        found["r2"] = NAN if variance <= 0 else round(1 - loss * (unit / spread) ** 2 / variance, 12)
        found["mape"] = NAN if weights[zero].any() else float(weights @ relative / total)
        counted = np.cumsum(weights[order])
        return found | {f"absolute_error_p{q}": _quantile(ranked, counted, q / 100) for q in QUANTILES}

    return score


def _quantile(ranked: Floats, counted: Floats, share: float) -> float:
    """The quantile of values that count as often as their weights say, interpolated as by numpy.quantile."""
    place = share * (counted[-1] - 1)
    low, high = ranked[np.searchsorted(counted, [np.floor(place), np.ceil(place)], side="right")]
    return float(low + (high - low) * (place - np.floor(place)))


def together(*scorers: Scorer) -> Scorer:
    """All metrics of several scorers."""

    def score(weights: Floats) -> dict[str, float]:
        return {name: value for scorer in scorers for name, value in scorer(weights).items()}

    return score
