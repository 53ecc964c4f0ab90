"""Measures a regressor."""

import numpy as np

from modelwright_training.errors import InputError
from modelwright_training.judging import intervals, scorers, tables
from modelwright_training.judging.metrics import Measured, Metric, Rows, constant, few, no_better
from modelwright_training.judging.scorers import Floats
from modelwright_training.judging.tables import rounded
from modelwright_training.onnxfile.predictions import Predictions

# The mean minimises the squares of the errors, the median their absolute values.
OF_MEAN = ("rmse", "r2")


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
    scorer = scorers.of_values(truth, values)
    found = scorer(np.ones(len(truth)))
    omitted = {
        name: "it is too large for a number" for name, value in found.items() if not np.isfinite(value)
    }
    if np.isnan(found["r2"]):
        omitted["r2"] = "the target is the same in all rows of the hold-out"
    if np.isnan(found["mape"]):
        omitted["mape"] = f"the target is 0 in {int((truth == 0).sum())} rows of the hold-out"
    found = {name: value for name, value in found.items() if name not in omitted}
    drawn = intervals.bootstrap(
        scorer, len(truth), rows.groups, rows.seed, intervals.resamples(len(truth), 5), list(found)
    )
    of_mean, of_median = (
        scorers.of_values(truth, np.full(len(truth), guess))(np.ones(len(truth))) for guess in (mean, median)
    )
    metrics = []
    for name, value in found.items():
        baseline = (of_mean if name in OF_MEAN else of_median)[name]
        known = baseline if np.isfinite(baseline) else None
        metrics.append(Metric(name, value, drawn.values.get(name), known))
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
    return Measured(metrics, omitted, evaluation, {"residuals": tables.bands(values, errors)})
