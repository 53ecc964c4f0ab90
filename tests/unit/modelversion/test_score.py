"""Which metric `kubectl get` shows, and how."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given import words

from modelwright.api.modelversion import ModelVersionStatus
from modelwright.modelversion.score import score


def status(metrics: dict[str, float], **parts: Any) -> ModelVersionStatus:
    named = [{"name": name, "value": value, "source": "Measured"} for name, value in metrics.items()]
    return ModelVersionStatus.model_validate({"metrics": named, **parts})


BINARY = {"accuracy": 0.9, "balanced_accuracy": 0.7, "roc_auc": 0.95}
MACRO = {**words.EVALUATION, "averaging": "Macro"}


@pytest.mark.parametrize(
    ("metrics", "parts", "shown"),
    [
        (BINARY, {"task": "Classification", "evaluation": words.EVALUATION}, "roc_auc 0.95"),
        (BINARY, {"task": "Classification", "evaluation": MACRO}, "balanced_accuracy 0.7"),
        (BINARY, {"task": "Classification", "signature": words.SIGNATURE}, "roc_auc 0.95"),
        ({"accuracy": 0.9}, {"task": "Classification", "evaluation": words.EVALUATION}, "accuracy 0.9"),
        ({"rmse": 12345.6, "r2": 0.87654}, {"task": "Regression"}, "r2 0.8765"),
        ({"rmse": 12345.6}, {"task": "Regression"}, "rmse 1.235e+04"),
        ({"r2": -0.2}, {}, "r2 -0.2"),
        ({"own_score": 3.0}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_main_metric_is_shown_by_name(
    metrics: dict[str, float], parts: dict[str, Any], shown: str | None
) -> None:
    assert score(status(metrics, **parts)) == shown


def test_the_interval_and_the_baseline_are_beside_it() -> None:
    metric = {"name": "r2", "value": 0.5, "low": -0.1, "high": 0.7, "baseline": -0.01, "source": "Measured"}
    found = ModelVersionStatus.model_validate({"task": "Regression", "metrics": [metric]})
    assert score(found) == "r2 0.5 (-0.1 to 0.7), baseline -0.01"
