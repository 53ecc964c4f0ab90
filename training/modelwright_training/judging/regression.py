"""Measures a regressor."""

from functools import partial

import numpy as np

from modelwright_training.errors import InputError
from modelwright_training.judging import intervals, scorers, tables
from modelwright_training.judging.metrics import Measured, Metric, Rows, constant, few, finite, no_better
from modelwright_training.judging.scored import Part, Scored, Some
from modelwright_training.judging.scorers import Codes, Floats, Scorer
from modelwright_training.judging.tables import rounded
from modelwright_training.onnxfile.predictions import Predictions

# The mean minimises the squares of the errors, the median their absolute values.
OF_MEAN = ("rmse", "r2")
OF_MEDIAN = ("mae", "mape", *(f"absolute_error_p{q}" for q in scorers.QUANTILES))
NAMES = ("mae", *OF_MEAN, *OF_MEDIAN[1:])
PASSES = 5


def scored_values(truth: Floats, predictions: Predictions, groups: Codes | None = None) -> Scored:
    """The metrics of a regressor's values."""
    values = predictions.values
    assert values is not None  # noqa: S101 (a regressor has values)
    parts = (Part(NAMES, lambda rows: scorers.of_values(truth[rows], values[rows])),)
    return Scored(len(truth), parts, groups, predictions=predictions)


def baseline(truth: Floats, trained: Floats, groups: Codes | None = None) -> Scored:
    """The metrics of always answering the mean of the training rows, or for absolute errors their median."""
    guesses = ((OF_MEAN, float(trained.mean())), (OF_MEDIAN, float(np.median(trained))))
    return Scored(
        len(truth),
        tuple(Part(names, partial(_always, truth, guess)) for names, guess in guesses),
        groups,
    )


def _always(truth: Floats, guess: float, rows: Some) -> Scorer:
    return scorers.of_values(truth[rows], np.full(len(truth[rows]), guess))


@np.errstate(over="ignore", invalid="ignore")
def regression(truth: Floats, predictions: Predictions, trained: Floats, rows: Rows) -> Measured:
    """Measure a regressor; `trained` holds the target of the training rows."""
    values = predictions.values
    assert values is not None  # noqa: S101 (a regressor has values)
    mean, median = float(trained.mean()), float(np.median(trained))
    errors = truth - values
    if not np.isfinite([mean, np.ptp(truth), *errors]).all():
        raise InputError(
            "OutputUnsuitable",
            "The target and its predictions are so large that their differences are no numbers. "
            "Divide the target by a constant.",
        )
    scored, always = scored_values(truth, predictions, rows.groups), baseline(truth, trained, rows.groups)
    found, guessed = scored.values(), always.values()
    omitted = {
        name: "it is too large for a number" for name, value in found.items() if not np.isfinite(value)
    }
    if np.isnan(found["r2"]):
        omitted["r2"] = "the target is the same in all rows of the hold-out"
    if np.isnan(found["mape"]):
        omitted["mape"] = f"the target is 0 in {int((truth == 0).sum())} rows of the hold-out"
    found = {name: value for name, value in found.items() if name not in omitted}
    names, count = list(found), intervals.resamples(len(truth), PASSES)
    drawn = intervals.bootstrap(scored.scorer(names), len(truth), rows.groups, rows.seed, count, names)
    metrics = [
        Metric(name, value, drawn.values.get(name), finite(guessed[name])) for name, value in found.items()
    ]
    notes = [
        *no_better(metrics, f"always answering the mean {mean:.4g}"),
        *constant(metrics),
        *few(len(truth), rows),
    ]
    evaluation = {
        "trainRows": len(trained),
        "holdoutRows": len(truth),
        "baseline": {"mean": rounded(mean), "median": rounded(median)},
        "intervals": rows.document(drawn.resamples),
        "residuals": tables.residuals(errors),
        "notes": notes,
    }
    return Measured(metrics, omitted, evaluation, {"residuals": tables.bands(values, errors)}, scored, always)
