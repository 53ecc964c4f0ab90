"""What gates are measured on: the hold-out, what the candidate, the baseline and the champion make of it, and
resamples of its rows that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from modelwright_training.features import frames
from modelwright_training.judging import intervals
from modelwright_training.judging.classification import (
    OF_LABELS,
    OF_PROBABILITIES,
    OF_RANKS,
    classification,
    classified,
)
from modelwright_training.judging.intervals import Interval
from modelwright_training.judging.loaded import Loaded
from modelwright_training.judging.metrics import Measured, Metric, Rows
from modelwright_training.judging.regression import NAMES, OF_MEDIAN, regression, scored_values
from modelwright_training.judging.reported import NOTHING, Reported
from modelwright_training.judging.scored import Mask, Part, Scored
from modelwright_training.judging.scorers import NAN, Floats
from modelwright_training.onnxfile.predictions import Predictions
from modelwright_training.onnxfile.session import Array

# The main metric of a task: the first that has a value, else there is none. Of each more is better. With two classes
# roc_auc does not depend on a threshold; with more, balanced_accuracy counts each class alike. The operator shows the
# same ones (modelversion/score.py), and others where these have no value; but rows of one class, or of one value, tell
# no model from the baseline.
TWO_CLASSES = ("roc_auc", "balanced_accuracy")
MORE_CLASSES = ("balanced_accuracy",)
REGRESSION = ("r2",)
MAIN = "main"
# Passes over the rows that a metric takes, on average.
PASSES = 5
# Those that count the rows of each class for themselves.
OF_CLASSES = frozenset({*OF_LABELS, *OF_RANKS} - {"accuracy"})
# Of these less is better.
LOSSES = frozenset({*OF_PROBABILITIES, "rmse", *OF_MEDIAN})


@dataclass(frozen=True)
class Resampled:
    """A metric on some rows (NaN: it has no value), and in resamples of them.

    `draws`: empty where there is nothing to draw from, or where it would take too long. `exact`: the interval of a
    value that is 0 or 1, and so the same in all resamples. `units`: as how many rows or groups it is as certain."""

    value: float
    draws: Floats = field(default_factory=lambda: np.empty(0))
    exact: Interval | None = None
    units: int = 0

    @property
    def constant(self) -> bool:
        """Whether it is the same in all resamples."""
        return len(self.draws) > 0 and intervals.ends(self.draws, self.value, self.units) is None

    @property
    def interval(self) -> Interval | None:
        """The interval of the value; None if there is none."""
        return intervals.ends(self.draws, self.value, self.units) or self.exact


@dataclass(frozen=True)
class Champion:
    """The version that the candidate is compared with.

    `model`, `scored`: None if it cannot be compared; then `reason` and `message` say why. Else these may say what a
    reader should know."""

    name: str
    model: Loaded | None = None
    scored: Scored | None = None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, eq=False)
class World:
    """A candidate on its hold-out.

    `frame`: the hold-out with all its columns. `truth`, `learnt`: the target of the hold-out and of the training rows.
    `reported`: what an own trainer says itself. `trained`: gives the rows that were learnt from; None if there are
    none. `rival`: loads the champion; None if there is none."""

    model: Loaded
    frame: pd.DataFrame
    truth: Array
    learnt: Array
    rows: Rows
    measured: Measured
    reported: Reported = NOTHING
    trained: Callable[[], pd.DataFrame] | None = None
    rival: "Callable[[World], Champion] | None" = None
    _drawn: dict[tuple[int, int, bytes], tuple[Scored, Floats]] = field(default_factory=dict, repr=False)

    @cached_property
    def main(self) -> str:
        """The name of the main metric, which may have no value."""
        values = {metric.name for metric in self.measured.metrics}
        preferred = preference(self.model)
        return next((name for name in preferred if name in values), preferred[0])

    @property
    def candidate(self) -> Scored:
        """The candidate on the hold-out."""
        return self.measured.scored

    @property
    def predicted(self) -> Predictions:
        """What the candidate predicts for the hold-out."""
        return self.candidate.predictions or self.model.predict(self.frame)

    @property
    def baseline(self) -> Scored:
        """The baseline on the hold-out: always the most frequent class, or the mean, of the training rows."""
        return self.measured.baseline

    @property
    def names(self) -> list[str]:
        """The metrics of the task."""
        return list(NAMES if self.model.classes is None else (*OF_LABELS, *OF_RANKS, *OF_PROBABILITIES))

    @cached_property
    def train(self) -> Scored | None:
        """The candidate on the rows that it has learnt from."""
        if self.trained is None:
            return None
        frame = self.trained()
        return score(self.model, frame, self.model.predict(frame), self.learnt)

    @cached_property
    def champion(self) -> Champion | None:
        """The version that the candidate is compared with; None if there is none."""
        return None if self.rival is None else self.rival(self)

    def score(self, model: Loaded) -> Scored:
        """Another model on the same rows."""
        return score(model, self.frame, model.predict(self.frame), self.learnt, self.rows)

    def resampled(self, scored: Scored, name: str, mask: Mask | None = None) -> Resampled:
        """A metric of a model, on all rows or on some of them.

        The resamples of the hold-out are the same for all models, metrics and masks, so what they give can be
        subtracted one by one. Those of the training rows are others, and there may be fewer of them."""
        everyone = np.ones(scored.rows) if mask is None else mask.astype(np.float64)
        point = scored.scorer([name])(everyone)[name] if everyone.any() else NAN
        part = next((part for part in scored.parts if name in part.names), None)
        if part is None or not np.isfinite(point):
            return Resampled(point)
        exact = scored.exact(name, point, everyone > 0)
        if scored.costly([name]):
            return Resampled(point, exact=exact)
        key = (id(scored), id(part), b"" if mask is None else np.packbits(mask).tobytes())
        if key not in self._drawn:
            self._drawn[key] = (scored, self._draw(scored, part, mask))
        drawn = self._drawn[key][1]
        units = self._units(scored, name, mask)
        return Resampled(point, drawn[:, part.names.index(name)], exact, units)

    def _units(self, scored: Scored, name: str, mask: Mask | None) -> int:
        """As how many rows, or groups of them, a metric is as certain. With two classes of different sizes most metrics
        are no more certain than if both classes were as small as the smaller one."""
        truth = self.learnt if scored is self.__dict__.get("train") else self.truth
        parts = [np.ones(len(truth), dtype=bool) if mask is None else mask]
        classes = np.unique(truth[parts[0]])
        if name in OF_CLASSES and len(classes) == 2:
            parts = [parts[0] & (truth == label) for label in classes]
        groups = scored.groups
        counts = [int(part.sum()) if groups is None else len(np.unique(groups[part])) for part in parts]
        return len(counts) * min(counts)

    def _draw(self, scored: Scored, part: Part, mask: Mask | None) -> Floats:
        """The metrics of a part in resamples."""

        score = part.scorer if mask is None else part.among(mask)

        def of_rows(weights: Floats) -> dict[str, float]:
            chosen = weights if mask is None else weights[mask]
            return score(chosen) if chosen.any() else dict.fromkeys(part.names, NAN)

        seed = self.rows.seed + (scored is self.__dict__.get("train"))
        count = intervals.resamples(scored.rows, PASSES)
        return intervals.draws(of_rows, scored.rows, scored.groups, seed, count, part.names)

    def metric(self, name: str) -> Metric | None:
        """A metric as it is published; None if it has no value."""
        return next((metric for metric in self.measured.metrics if metric.name == name), None)


def preference(model: Loaded) -> tuple[str, ...]:
    """The metrics one of which is the main one of a model's task, the best first."""
    if model.classes is None:
        return REGRESSION
    return TWO_CLASSES if len(model.dataset.classes or ()) == 2 else MORE_CLASSES


def score(
    model: Loaded, frame: pd.DataFrame, predicted: Predictions, learnt: Array, rows: Rows | None = None
) -> Scored:
    """What a model predicted for some rows, as metrics."""
    truth = frames.target(frame, model.dataset)
    groups = None if rows is None else rows.groups
    if model.classes is None:
        return scored_values(truth, predicted, groups)
    known = model.dataset.classes or []
    found = classified(truth, predicted, model.classes, known, learnt, model.dataset.positive_class)
    return found.scored(groups)


def look(
    model: Loaded,
    holdout: pd.DataFrame,
    trained: pd.DataFrame | None,
    rows: Rows,
    rival: Callable[[World], Champion] | None = None,
    reported: Reported = NOTHING,
) -> World:
    """Measure a model on its hold-out, for a report and for gates. `trained`: the rows that it has learnt from; None if
    they are not known: then the baseline answers what is most frequent, or the mean, in the hold-out itself."""
    dataset = model.dataset
    truth = frames.target(holdout, dataset)
    learnt = truth if trained is None else frames.target(trained, dataset)
    predicted = model.predict(holdout)
    if model.classes is None:
        measured = regression(truth, predicted, learnt, rows)
    else:
        known = dataset.classes or []
        measured = classification(
            truth, predicted, model.classes, known, learnt, dataset.positive_class, rows
        )
    of_training = None if trained is None else lambda: trained
    return World(model, holdout, truth, learnt, rows, measured, reported, of_training, rival)
