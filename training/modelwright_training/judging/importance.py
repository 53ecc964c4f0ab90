"""Permutation importance: how much worse the main metric is on the hold-out when the values of a feature are shuffled
among its rows (Breiman, Random Forests, 2001; scikit-learn's permutation_importance). It is that of the file that is
served. Features that say the same hide each other: shuffling one of them costs little."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from modelwright_training.errors import InputError
from modelwright_training.judging.gates.world import World, score
from modelwright_training.judging.metrics import Rows
from modelwright_training.judging.scored import Scored
from modelwright_training.judging.scorers import Floats
from modelwright_training.judging.tables import rounded
from modelwright_training.message import Json
from modelwright_training.onnxfile.predictions import Predictions

log = logging.getLogger(__name__)

MOST_ROWS, LEAST_ROWS, REPEATS = 2000, 200, 5
# Features that are shuffled with all rows and repeats, and those that are reported.
MOST_FEATURES, REPORTED = 50, 20
# Rows that a model is run on in all. One that takes a row at a time, or is large, needs longer for each.
WORK, WORK_ALONE, LARGE = 100_000, 25_000, 4 << 20
# Cells that are laid out for the model at once.
CELLS = 4_000_000
# Of many features, those are chosen that change the answers to so many rows most.
LOOK, LOOK_ROWS = 20_000, 200
RESAMPLES = 50
# The 97.5 % quantile of the normal distribution.
WIDTH = 1.959963984540054

Order = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Rows of the hold-out, what the model makes of them, and the seed of all that is drawn."""

    world: World
    frame: pd.DataFrame
    rows: Rows

    def predicted(self, names: Sequence[str], orders: Sequence[Order]) -> Iterator[Predictions]:
        """What the model predicts with a column in another order, for each of the columns and its order."""
        at_once = max(1, CELLS // (len(self.frame) * len(self.frame.columns)))
        for start in range(0, len(names), at_once):
            some = list(zip(names[start : start + at_once], orders[start : start + at_once], strict=True))
            frame = pd.concat([self.frame] * len(some), ignore_index=True)
            for name in dict.fromkeys(name for name, _ in some):
                column = self.frame[name].to_numpy()
                frame[name] = np.concatenate(
                    [column[order] if own == name else column for own, order in some]
                )
            found = self.world.model.predict(frame)
            for place in range(len(some)):
                yield _part(found, slice(place * len(self.frame), (place + 1) * len(self.frame)))

    def scored(self, predicted: Predictions) -> Scored:
        """Predictions as metrics."""
        return score(self.world.model, self.frame, predicted, self.world.learnt, self.rows)


def importance(world: World) -> list[Json]:
    """The features that matter most with the 95 % intervals of their importance, the largest first; empty where the
    main metric has no value.

    Of at most 2,000 rows and 50 features: of more, those whose shuffling changes the model's answers most. The seed is
    that of the model's digest, so the same model on the same rows gives the same numbers."""
    try:
        return _importances(world)
    except InputError as error:  # of rows that no data has: a model may have no answer to them
        log.warning("No importance of features: %s", error.message)
        return []


def _importances(world: World) -> list[Json]:
    names = world.model.dataset.names
    sample = _sample(world, min(len(names), MOST_FEATURES))
    metric = sample.scored(world.model.predict(sample.frame)).scorer([world.main])
    value = metric(np.ones(len(sample.frame)))[world.main]
    if not np.isfinite(value):
        return []
    if len(names) > MOST_FEATURES:
        names = _looked_at(sample, names)
    weights = _resamples(sample)
    drawn = np.array([metric(weight)[world.main] for weight in weights])
    found = [_importance(sample, name, value, weights, drawn) for name in names]
    return sorted(found, key=lambda feature: -feature["value"])[:REPORTED]


def _sample(world: World, features: int) -> Sample:
    """As many rows as can be afforded, chosen at random."""
    model, held = world.model, len(world.frame)
    work = WORK_ALONE if model.feed.batch == 1 else WORK / (1 + model.file.size / LARGE)
    count = int(np.clip(work // (features * REPEATS), LEAST_ROWS, MOST_ROWS))
    frame = world.frame[[*model.dataset.names, model.dataset.target.name]]
    if count >= held:
        return Sample(world, frame.reset_index(drop=True), world.rows)
    chosen = np.sort(np.random.default_rng(world.rows.seed).choice(held, count, replace=False))
    groups = world.rows.groups
    if groups is not None:
        groups = np.unique(groups[chosen], return_inverse=True)[1].ravel().astype(np.int64)
    return Sample(world, frame.iloc[chosen].reset_index(drop=True), replace(world.rows, groups=groups))


def _looked_at(sample: Sample, names: list[str]) -> list[str]:
    """The features that change the answers to some rows most, in their order."""
    count = min(len(sample.frame), max(LOOK_ROWS // 4, min(LOOK_ROWS, LOOK // len(names))))
    some = Sample(sample.world, sample.frame.head(count), Rows(sample.rows.seed))
    before = _numbers(sample.world.model.predict(some.frame))
    orders = [_order(some, name, 1)[0] for name in names]
    changes = [_change(before, _numbers(found)) for found in some.predicted(names, orders)]
    chosen = np.argsort(-np.array(changes), kind="stable")[:MOST_FEATURES]
    return [names[place] for place in sorted(chosen.tolist())]


def _numbers(predicted: Predictions) -> npt.NDArray[np.generic]:
    for found in (predicted.probabilities, predicted.scores, predicted.values):
        if found is not None:
            return found
    return np.asarray(predicted.labels)


def _change(before: npt.NDArray[np.generic], after: npt.NDArray[np.generic]) -> float:
    if before.dtype.kind == "f":
        return float(np.abs(after.astype(np.float64) - before.astype(np.float64)).mean())
    return float((after != before).mean())


def _order(sample: Sample, name: str, repeats: int) -> list[Order]:
    """The orders in which the values of a feature are shuffled: its own, whatever other features there are."""
    place = sample.world.model.dataset.names.index(name)
    random = np.random.default_rng([sample.rows.seed, place])
    return [random.permutation(len(sample.frame)) for _ in range(repeats)]


def _resamples(sample: Sample) -> list[Floats]:
    """How often each row counts in each resample: rows of one unit alike."""
    rows, groups = len(sample.frame), sample.rows.groups
    units = rows if groups is None else int(groups.max()) + 1
    if units < 2:
        return []
    random = np.random.default_rng(sample.rows.seed)
    found = []
    for _ in range(RESAMPLES):
        times = np.bincount(random.integers(0, units, units), minlength=units).astype(np.float64)
        found.append(times if groups is None else times[groups])
    return found


def _importance(sample: Sample, name: str, truly: float, weights: list[Floats], drawn: Floats) -> Json:
    """The importance of a feature: the mean over shuffles. Its interval has both in it, other rows (resamples of them)
    and another shuffle (each resample takes the next one)."""
    main = sample.world.main
    shuffled = [
        sample.scored(found).scorer([main])
        for found in sample.predicted([name] * REPEATS, _order(sample, name, REPEATS))
    ]
    everyone = np.ones(len(sample.frame))
    value = truly - float(np.mean([metric(everyone)[main] for metric in shuffled]))
    losses = np.array([shuffled[place % REPEATS](weight)[main] for place, weight in enumerate(weights)])
    apart = drawn - losses
    apart = apart[np.isfinite(apart)]
    found: Json = {"feature": name, "value": rounded(value)}
    if len(apart) < RESAMPLES // 2:
        return found
    half = WIDTH * float(apart.std(ddof=1))
    return found | {"low": rounded(value - half), "high": rounded(value + half)}


def _part(predicted: Predictions, rows: slice) -> Predictions:
    parts = (predicted.labels, predicted.probabilities, predicted.scores, predicted.values)
    return Predictions(*(None if part is None else part[rows] for part in parts))
