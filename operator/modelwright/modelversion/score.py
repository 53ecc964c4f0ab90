"""The main metric of a model, in the words of `kubectl get`. Pure."""

from __future__ import annotations

from modelwright.api.modelversion import Metric, ModelVersionStatus
from modelwright.api.phrases import around

# The first that has a value is shown. With two classes roc_auc does not depend on a threshold; with more,
# balanced_accuracy counts each class alike.
TWO_CLASSES = ("roc_auc", "balanced_accuracy", "accuracy")
MORE_CLASSES = ("balanced_accuracy", "accuracy")
REGRESSION = ("r2", "rmse", "mae")


def score(status: ModelVersionStatus) -> str | None:
    """Returns the main metric with its interval and its baseline; None without metrics."""
    by_name = {metric.name: metric for metric in status.metrics}
    chosen = (by_name[name] for name in _preferred(status) if name in by_name)
    metric = next(chosen, None)
    return None if metric is None else _text(metric)


def _preferred(status: ModelVersionStatus) -> tuple[str, ...]:
    if status.task == "Regression":
        return REGRESSION
    if status.task is None:
        return (*TWO_CLASSES, *REGRESSION)
    averaging = status.evaluation.averaging if status.evaluation is not None else None
    classes = status.signature.classes if status.signature is not None else None
    two = averaging == "Binary" or (averaging is None and len(classes or ()) == 2)
    return TWO_CLASSES if two else MORE_CLASSES


def _text(metric: Metric) -> str:
    text = f"{metric.name} {metric.value:.4g}{around(metric.low, metric.high)}"
    return text if metric.baseline is None else f"{text}, baseline {metric.baseline:.4g}"
