"""What the steps say when they end: one document of each kind, as docs/contracts has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

DATA_DIGEST = "sha256:" + "d" * 64


def digest(letter: str = "a") -> str:
    """A digest."""
    return "sha256:" + letter * 64


def artifact(model: str = "churn", letter: str = "a") -> dict[str, Any]:
    """A model file in the default claim."""
    return {
        "uri": f"pvc://modelwright-artifacts/{model}/sha256-{letter * 64}/model.onnx",
        "digest": digest(letter),
        "size": 2048,
    }


SIGNATURE: Mapping[str, Any] = {
    "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
    ],
    "features": ["age", "plan"],
    "classes": [0, 1],
}
PARITY: Mapping[str, Any] = {
    "verdict": "Pass", "compared": 200, "labelMismatches": 0, "ties": 1, "maxDifference": 1e-7,
    "p999Difference": 1e-7, "shareOver1e3": 0.0, "meanDifference": 1e-8, "scoreMismatches": 0,
}  # fmt: skip
LIBRARIES = {"onnxruntime": "1.27.0", "scikit-learn": "1.9.0"}


def fetched(**parts: Any) -> dict[str, Any]:
    """The result of fetch."""
    return {
        "digest": DATA_DIGEST, "inputDigest": DATA_DIGEST, "size": 4096, "format": "csv",
        "task": "Classification", "taskFrom": "Estimator",
        "rows": {"train": 80, "holdout": 20}, "features": 2, "stratified": True, "notes": [], **parts,
    }  # fmt: skip


def trained(**parts: Any) -> dict[str, Any]:
    """The result of the built-in trainer."""
    return {
        "estimator": "sklearn.linear_model.LogisticRegression", "task": "Classification", "rows": 80,
        "digest": digest(), "size": 2048, "libraries": LIBRARIES, **parts,
    }  # fmt: skip


EVALUATION: dict[str, Any] = {
    "positiveClass": 1, "averaging": "Binary", "trainRows": 80, "holdoutRows": 20, "baseline": {"label": 0},
    "intervals": {"level": 0.95, "resamples": 1000, "unit": "Row"},
    "classes": [
        {"label": 0, "trainRows": 60, "holdoutRows": 15, "precision": 0.9, "recall": 0.9, "f1": 0.9},
        {"label": 1, "trainRows": 20, "holdoutRows": 5, "precision": 0.9, "recall": 0.9, "f1": 0.9},
    ],
    "confusion": {"classes": [0, 1], "counts": [[14, 1], [1, 4]]},
    "thresholds": [{"threshold": 0.5, "share": 0.25, "precision": 0.8, "recall": 0.8}],
    "calibration": [{"predicted": 0.2, "observed": 0.25, "rows": 20}],
    "notes": [],
}  # fmt: skip


# What publish measures for the gates that every run has: the model is better than the baseline, and has no rival.
GATES: list[dict[str, Any]] = [
    {
        "name": "better-than-baseline", "metric": "roc_auc", "value": 0.45, "low": 0.4, "high": 0.48,
        "measured": 0.95, "reference": 0.5, "against": "Baseline", "samples": 200,
    },
    {
        "name": "not-worse-than-champion", "metric": "roc_auc", "samples": 200, "reason": "NoChampion",
        "message": "there is no version to compare with",
    },
]  # fmt: skip
# The same of a model on shuffled labels.
NO_BETTER = {**GATES[0], "value": 0.01, "low": -0.05, "high": 0.07, "measured": 0.51}


def published(letter: str = "a", **parts: Any) -> dict[str, Any]:
    """The result of publish."""
    return {
        "artifact": artifact(letter=letter), "task": "Classification",
        "metrics": [
            {"name": "accuracy", "value": 0.9},
            {"name": "roc_auc", "value": 0.95, "low": 0.9, "high": 0.98, "baseline": 0.5, "positiveClass": 1},
        ],
        "evaluation": EVALUATION, "parity": PARITY, "gates": GATES, "signature": SIGNATURE, "libraries": LIBRARIES,
        **parts,
    }  # fmt: skip


def verified(letter: str = "a", **parts: Any) -> dict[str, Any]:
    """The result of verify."""
    return {
        "artifact": artifact(letter=letter), "task": "Classification",
        "metrics": [{"name": "accuracy", "value": 0.9}], "signature": SIGNATURE, "libraries": LIBRARIES, **parts,
    }  # fmt: skip


def deleted(letter: str = "a", **parts: Any) -> dict[str, Any]:
    """The result of delete."""
    kept = {name: value for name, value in artifact(letter=letter).items() if name != "size"}
    return {"artifact": kept, "deleted": True, "keptBy": [], **parts}


RESULTS = {
    "fetch": fetched(),
    "train": trained(),
    "publish": published(),
    "verify": verified(),
    "delete": deleted(),
}


def result(step: str, found: Mapping[str, Any]) -> str:
    """A step that ended well, in its own words."""
    return json.dumps({"step": step, "result": found})


def error(step: str, reason: str, message: str = "what was wrong, where, and what to do") -> str:
    """A step that failed, in its own words."""
    return json.dumps({"step": step, "error": {"reason": reason, "message": message}})
