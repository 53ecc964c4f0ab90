"""Draws many hold-outs and resamples each of them at once, as `judging.gates` does one: the same rows count as often.

The weights of the resamples are drawn once for some repeats: each repeat is as if they were its own, since its rows are
independent of them. `tests/unit/gates_simulated` holds this to the product's own bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright_training.judging import intervals

Chance = np.random.Generator
Array = NDArray[Any]

# Repeats that share the weights of their resamples.
SHARED = 50
# The share of rows of the positive class, and how far the champion tells the classes apart: an area of 0.856.
POSITIVE, APART = 0.3, 1.5
# Of what both models see alike in a row. So much of the noise of their scores is the same.
ALIKE = 0.8


@dataclass(frozen=True)
class Found:
    """What was measured of one hold-out: the value, its interval, and what the two models have themselves."""

    value: float
    low: float
    high: float
    samples: int


def found(value: float, draws: Array, samples: int, units: int | None = None) -> Found:
    """What the product makes of a value and its resamples. `units`: how many are drawn, if not the rows."""
    ends = intervals.ends(draws, value, units or samples, constant=True)
    assert ends is not None
    return Found(value, *ends, samples)


def resamples(rows: int) -> int:
    """How many are drawn of so many rows: fewer than by the product, which costs no accuracy on average."""
    return 400 if rows <= 1000 else 200


def weights(chance: Chance, units: int, count: int) -> NDArray[np.float32]:
    """How often each unit counts in each resample."""
    drawn = [np.bincount(chance.integers(0, units, units), minlength=units) for _ in range(count)]
    return np.array(drawn, dtype=np.float32)


def turns(chance: Chance, units: int, repeats: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """How many repeats share which weights."""
    for start in range(0, repeats, SHARED):
        yield min(SHARED, repeats - start), weights(chance, units, resamples(units))


def apart(area: float) -> float:
    """How far apart the means of two normal scores are that have this area under the ROC curve."""
    return sqrt(2) * NormalDist().inv_cdf(area)


def area(distance: float) -> float:
    """The area under the ROC curve of two normal scores whose means are so far apart."""
    return NormalDist().cdf(distance / sqrt(2))


def wins(positive: Array, negative: Array) -> NDArray[np.float32]:
    """Which rows of the class are ranked above which others."""
    return (positive[:, None] > negative[None, :]).astype(np.float32)


def areas(kernel: NDArray[np.float32], weight: NDArray[np.float32]) -> tuple[float, Array]:
    """The mean of a kernel over pairs of rows of both classes, on all rows and on each resample."""
    count = len(kernel)
    ours, others = weight[:, :count], weight[:, count:]
    with np.errstate(invalid="ignore"):
        drawn = ((ours @ kernel) * others).sum(1) / (ours.sum(1) * others.sum(1))
    return float(kernel.mean()), drawn.astype(np.float64)


def area_differences(chance: Chance, rows: int, difference: float, repeats: int) -> Iterator[Found]:
    """roc_auc of a challenger less that of the champion, on the same rows. `difference`: the true one."""
    count = round(POSITIVE * rows)
    distance = apart(area(APART) + difference)
    for shared, weight in turns(chance, rows, repeats):
        for _ in range(shared):
            alike, own = chance.normal(size=(2, rows))
            champion, challenger = alike.copy(), ALIKE * alike + sqrt(1 - ALIKE**2) * own
            champion[:count] += APART
            challenger[:count] += distance
            kernel = wins(challenger[:count], challenger[count:]) - wins(champion[:count], champion[count:])
            yield found(*areas(kernel, weight), rows, 2 * min(count, rows - count))


def area_values(chance: Chance, rows: int, true: float, repeats: int, less: float = 0.0) -> Iterator[Found]:
    """roc_auc of a model, less a constant."""
    count = round(POSITIVE * rows)
    for shared, weight in turns(chance, rows, repeats):
        for _ in range(shared):
            scores = chance.normal(size=rows)
            scores[:count] += apart(true)
            value, drawn = areas(wins(scores[:count], scores[count:]), weight)
            yield found(value - less, drawn - less, rows, 2 * min(count, rows - count))


def hit_differences(chance: Chance, rows: int, better: float, worse: float, repeats: int) -> Iterator[Found]:
    """accuracy of a challenger less that of the champion.

    `better`, `worse`: the shares of rows which only the challenger, and only the champion, answers right."""
    count = resamples(rows)
    shares = np.array([better, worse, 1 - better - worse])
    for counts in chance.multinomial(rows, shares, repeats):
        # A resample of rows of three kinds is a multinomial of their shares.
        drawn = chance.multinomial(rows, counts / rows, count)
        yield found((counts[0] - counts[1]) / rows, (drawn[:, 0] - drawn[:, 1]) / rows, rows)


def hits(chance: Chance, rows: int, true: float, repeats: int) -> Iterator[Found]:
    """accuracy of a model."""
    for count in chance.binomial(rows, true, repeats):
        yield found(count / rows, chance.binomial(rows, count / rows, resamples(rows)) / rows, rows)


def hits_of_groups(chance: Chance, groups: int, each: int, true: float, repeats: int) -> Iterator[Found]:
    """accuracy where rows of a group are alike: half of the groups' rows are all right or all wrong together."""
    for shared, weight in turns(chance, groups, repeats):
        alone = chance.random((shared, groups, each)) < true
        together = chance.random((shared, groups, 1)) < true
        right = np.where(chance.random((shared, groups, 1)) < 0.5, together, alone).mean(2)
        for own in right:
            yield found(float(own.mean()), (weight @ own) / groups, groups * each, groups)


def means_of_classes(
    chance: Chance,
    rows: int,
    shares: tuple[float, ...],
    recalls: tuple[float, ...],
    repeats: int,
    less: float = 0.0,
) -> Iterator[Found]:
    """balanced_accuracy of a model with these recalls of classes of these shares, less a constant."""
    sizes = np.round(np.array(shares) * rows).astype(int)
    sizes[0] += rows - sizes.sum()
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    for shared, weight in turns(chance, rows, repeats):
        there = np.add.reduceat(weight, starts, 1)
        for _ in range(shared):
            right = chance.random(rows) < np.repeat(recalls, sizes)
            hit = np.add.reduceat(weight * right, starts, 1)
            with np.errstate(invalid="ignore"):
                drawn = np.nanmean(hit / there, 1)
            value = float((np.add.reduceat(right.astype(float), starts) / sizes).mean())
            yield found(value - less, drawn - less, rows, 2 * sizes.min() if len(sizes) == 2 else None)


def errors(
    chance: Chance, rows: int, noise: float, repeats: int, measure: Callable[[Array, Array, Array], Array]
) -> Iterator[Found]:
    """A metric of a regressor whose errors have this standard deviation, of a target of standard deviation 1.

    `measure`: gives the metric from the weighted means of the squared errors, of the target and of its square."""
    for shared, weight in turns(chance, rows, repeats):
        share = weight / rows
        for _ in range(shared):
            predicted = chance.normal(size=rows) * sqrt(max(0.0, 1 - noise**2))
            truth = predicted + noise * chance.normal(size=rows)
            columns = np.stack([(truth - predicted) ** 2, truth, truth**2])
            value = measure(*columns.mean(1)[:, None])[0]
            yield found(float(value), measure(*(columns @ share.T)), rows)


def useless(chance: Chance, rows: int, spread: float, repeats: int) -> Iterator[Found]:
    """r2 of a regressor that has learnt nothing, less that of the mean: its answers are about the mean, by chance."""
    for shared, weight in turns(chance, rows, repeats):
        share = weight / rows
        for _ in range(shared):
            truth, predicted = chance.normal(size=rows), spread * chance.normal(size=rows)
            columns = np.stack([truth**2 - (truth - predicted) ** 2, truth, truth**2])

            def gain(less: Array, mean: Array, square: Array) -> Array:
                return np.asarray(less / (square - mean**2))

            value = gain(*columns.mean(1)[:, None])[0]
            yield found(float(value), gain(*(columns @ share.T)), rows)


def root_mean_square(square: Array, _mean: Array, _square: Array) -> Array:
    """rmse."""
    return np.asarray(np.sqrt(square))


def explained(square: Array, mean: Array, of_square: Array) -> Array:
    """r2."""
    return np.asarray(1 - square / (of_square - mean**2))
