"""Random projections of the rows: sums of all features with random weights, which see correlations change where no
single feature does.

z = (x - mean) / scale, clipped to +-8, 0 where it is missing; a category has a random score. p_j = weights[j] . z."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from modelwright_training.judging.profile import cells
from modelwright_training.judging.profile.cells import Floats, rounded
from modelwright_training.judging.tables import rounded as significant
from modelwright_training.message import Json
from modelwright_training.onnxfile.session import Array

PROJECTIONS = 16
FEATURES = 256
CLIP = 8.0
# The shares between which mean and scale are taken, so that single huge values do not make all others alike.
MIDDLE = (0.01, 0.99)
# Sums are added up in any order: an edge keeps away from the values by more than that changes.
APART = 1e-9


def seed_of(digest: str) -> int:
    """The seed of the weights, from the digest of the model (`sha256:HEX`)."""
    return int(digest.partition(":")[2][:16], 16)


def project(features: Sequence[Json], columns: Mapping[str, Array], seed: int) -> Json | None:
    """The projections of the rows, whose features `features` describes; None if there is nothing to project.

    `columns`: by name, float64 or texts, one value per row."""
    random = np.random.default_rng(seed)
    places: list[int] = []
    means: list[float] = []
    scales: list[float] = []
    scores: dict[str, list[float]] = {}
    standard: list[Floats] = []
    for place, feature in enumerate(features):
        if len(places) == FEATURES:
            break
        column = columns[feature["name"]]
        if feature["kind"] == "numeric":
            found = _moments(column)
            if found is None:
                continue
            mean, scale = found
            standard.append(standardised(column, mean, scale))
        elif feature["kind"] == "categorical" and len(feature["values"]) > 1:
            mean, scale = 0.0, 1.0
            scores[str(place)] = _scores(feature["counts"], random)
            standard.append(_scored(column, feature["values"], scores[str(place)]))
        else:
            continue
        places.append(place)
        means.append(mean)
        scales.append(scale)
    if not places:
        return None
    weights = _weights(len(places), random)
    sums = np.column_stack(standard) @ weights.T
    between = [cells.edges(cells.ranked(column), APART) for column in sums.T]
    return {
        "features": places,
        "mean": means,
        "scale": scales,
        "scores": scores,
        "weights": weights.tolist(),
        "edges": between,
        "counts": [cells.count(column, found) for column, found in zip(sums.T, between, strict=True)],
    }


def standardised(column: Floats, mean: float, scale: float) -> Floats:
    """The numbers less their mean, in units of their spread."""
    with np.errstate(over="ignore"):
        z = np.clip((column - mean) / scale, -CLIP, CLIP)
    return np.where(np.isnan(z), 0.0, z)


def _moments(column: Floats) -> tuple[float, float] | None:
    """Mean and standard deviation of what is not at the ends; None if all values are one."""
    there = cells.ranked(column[~np.isnan(column)])
    if not len(there):
        return None
    low, high = (there[int(share * (len(there) - 1))] for share in MIDDLE)
    with np.errstate(over="ignore", invalid="ignore"):
        for values in (np.clip(there, low, high), there):
            mean, scale = float(values.mean()), float(values.std())
            if np.isfinite([mean, scale]).all() and scale > 1e-12 * abs(mean):
                return rounded(mean, scale), significant(scale)
    return None


def _scores(counts: Sequence[int], random: np.random.Generator) -> list[float]:
    """A number for each category, of mean 0 and spread 1 over the rows."""
    weights = np.asarray(counts) / sum(counts)
    drawn = random.normal(size=len(counts))
    drawn -= weights @ drawn
    return [significant(score) for score in drawn / np.sqrt(weights @ drawn**2)]


def _scored(column: Array, values: Sequence[str], scores: Sequence[float]) -> Floats:
    """The score of each row; 0 of other categories."""
    known = np.clip(np.append(scores, 0.0), -CLIP, CLIP)  # the last one is what -1 finds
    found: Floats = known[cells.places(column, values)]
    return found


def _weights(count: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Unit vectors of random directions, a row each."""
    drawn = random.normal(size=(PROJECTIONS, count))
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.array([[significant(weight) for weight in row] for row in unit])
