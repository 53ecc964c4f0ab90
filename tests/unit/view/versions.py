"""ModelVersions as the command line meets them: full ones, and those with hostile names in them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from unit.cli.given import merged
from unit.given import words

from modelwright.api.rundocument import DEFAULT_GATES
from modelwright.view.version import Version, read_version

Body = dict[str, Any]
MADE = "2026-01-02T08:00:00Z"
TRAINER = "ghcr.io/modelwright/training:0.1.0"
IMAGE_DIGEST = "sha256:" + "e" * 64

_EVALUATION: Body = {
    **words.EVALUATION,
    "positiveClass": "1",
    "baseline": {"label": "0"},
    "classes": [{**each, "label": str(each["label"])} for each in words.EVALUATION["classes"]],
    "confusion": {"classes": ["0", "1"], "counts": [[14, 1], [1, 4]]},
    "notes": ["3 rows of the hold-out are also in the training rows"],
}
_BODY: Body = {
    "apiVersion": "modelwright.dev/v1alpha1",
    "kind": "ModelVersion",
    "metadata": {
        "name": "churn-3",
        "namespace": "team",
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-02T08:00:05Z",
    },
    "spec": {
        "model": "churn",
        "artifact": words.artifact(),
        "gates": [
            {"name": "recall-eu", "metric": "recall", "min": 0.7, "slice": {"region": "eu"}},
            *map(dict, DEFAULT_GATES),
        ],
        "defaultGates": "Disabled",
        "approval": {"required": 2, "excludeAuthor": True},
        "lineage": {
            "trainingJob": "churn",
            "run": 3,
            "completionTime": MADE,
            "author": "ada@example.com",
            "images": [
                {"step": step, "image": TRAINER, "imageID": f"ghcr.io/modelwright/training@{IMAGE_DIGEST}"}
                for step in ("fetch", "train", "publish")
            ],
            "code": {"repository": "https://example.com/team/churn", "revision": "4f2a9c1"},
            "data": [{"uri": "pvc://lake/churn.csv", "digest": words.DATA_DIGEST}],
            "estimator": "sklearn.linear_model.LogisticRegression",
            "parameters": {"C": 1.0},
            "seed": 7,
            "libraries": {"onnxruntime": "1.27.0", "scikit-learn": "1.9.0"},
            "champion": {"name": "churn-2", "digest": words.digest("b")},
            "recipe": {
                "task": "Classification",
                "data": {
                    "uri": "pvc://lake/churn.csv",
                    "target": "churned",
                    "exclude": ["id"],
                    "schema": {"age": {"type": "integer", "min": 0}},
                    "holdout": {"fraction": 0.2, "seed": 5, "stratify": True},
                },
                "trainer": {
                    "sklearn": {
                        "estimator": "sklearn.linear_model.LogisticRegression",
                        "parameters": {"C": 1.0},
                    }
                },
                "seed": 7,
            },
        },
    },
    "status": {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "observedGeneration": 1,
                "lastTransitionTime": MADE,
                "reason": "Overridden",
                "message": "recall-eu has failed, and ada@example.com has let it through",
            }
        ],
        "task": "Classification",
        "signature": {**words.SIGNATURE, "classes": ["0", "1"]},
        "score": "roc_auc 0.95 (0.9 to 0.98), baseline 0.5",
        "metrics": [
            {
                "name": "roc_auc",
                "value": 0.95,
                "low": 0.9,
                "high": 0.98,
                "baseline": 0.5,
                "positiveClass": "1",
                "source": "Measured",
            },
            {"name": "accuracy", "value": 0.9, "low": 0.85, "high": 0.93, "source": "Measured"},
        ],
        "evaluation": _EVALUATION,
        "parity": {
            name: value
            for name, value in words.PARITY.items()
            if name in {"verdict", "compared", "labelMismatches", "ties", "maxDifference"}
        },
        "gates": [
            {
                "name": "recall-eu",
                "metric": "recall",
                "verdict": "Fail",
                "reason": "BelowLimit",
                "value": 0.5,
                "low": 0.4,
                "high": 0.6,
                "threshold": 0.7,
                "samples": 120,
                "source": "Measured",
                "onInconclusive": "Hold",
            },
            {
                "name": "better-than-baseline",
                "metric": "roc_auc",
                "verdict": "Pass",
                "reason": "WithinLimit",
                "value": 0.45,
                "low": 0.4,
                "high": 0.48,
                "threshold": 0.0,
                "measured": 0.95,
                "reference": 0.5,
                "against": "Baseline",
                "samples": 20,
                "source": "Measured",
                "onInconclusive": "Hold",
            },
            {
                "name": "not-worse-than-champion",
                "metric": "roc_auc",
                "verdict": "Inconclusive",
                "reason": "LimitWithinInterval",
                "value": 0.012,
                "low": -0.01,
                "high": 0.03,
                "threshold": 0.0,
                "measured": 0.95,
                "reference": 0.938,
                "against": "churn-2",
                "samples": 20,
                "samplesNeeded": 60,
                "source": "Measured",
                "onInconclusive": "Allow",
            },
        ],
        "importance": [
            {"feature": "age", "value": 0.2, "low": 0.1, "high": 0.3},
            {"feature": "plan", "value": -0.01, "low": -0.03, "high": 0.01},
        ],
        "fairness": [
            {
                "feature": "region",
                "groups": [
                    {
                        "group": "eu",
                        "rows": 12,
                        "selectionRate": 0.4,
                        "accuracy": 0.9,
                        "truePositiveRate": 0.8,
                    },
                    {
                        "group": "us",
                        "rows": 8,
                        "selectionRate": 0.5,
                        "accuracy": 0.88,
                        "truePositiveRate": 0.7,
                    },
                ],
            }
        ],
        "approvals": [
            {
                "by": "ada@example.com",
                "at": MADE,
                "how": "ModelVersion",
                "decision": "Approve",
                "reason": "the EU slice is small",
                "override": True,
                "verified": True,
            },
            {
                "by": "grace@example.com",
                "at": MADE,
                "how": "ModelVersion",
                "decision": "Approve",
                "verified": False,
            },
        ],
        "aliases": ["Champion", "Latest"],
        "shortDigest": "a" * 12,
    },
}
HOSTILE = "a|b<script>alert(1)</script>\n---\n# x\u2028`&]]>\u202e\x1b[2J"


def a_body(name: str = "churn-3", **parts: Mapping[str, Any]) -> Body:
    """A version with everything; `parts` are merged into its spec, status and metadata."""
    return merged(copy.deepcopy(_BODY), {"metadata": {"name": name}} if not parts else _with(name, parts))


def _with(name: str, parts: Mapping[str, Any]) -> Body:
    return {**parts, "metadata": {"name": name, **parts.get("metadata", {})}}


def a_version(name: str = "churn-3", **parts: Mapping[str, Any]) -> Version:
    """The same, read."""
    return read_version(a_body(name, **parts))


def earlier() -> Version:
    """The one before: churn-2, which the later one was compared with."""
    metrics = [
        {"name": "roc_auc", "value": 0.938, "low": 0.88, "high": 0.97, "source": "Measured"},
        {"name": "accuracy", "value": 0.88, "low": 0.8, "high": 0.9, "source": "Measured"},
    ]
    return a_version(
        "churn-2",
        spec={
            "artifact": words.artifact(letter="b"),
            "gates": None,
            "lineage": {
                "run": 2,
                "completionTime": "2026-01-01T08:00:00Z",
                "parameters": {"C": 0.5},
                "libraries": {"scikit-learn": "1.8.0"},
                "champion": None,
            },
        },
        status={
            "gates": [],
            "aliases": ["Previous"],
            "score": "roc_auc 0.938 (0.88 to 0.97)",
            "metrics": metrics,
            "approvals": [],
            "conditions": [{**_BODY["status"]["conditions"][0], "reason": "Published", "message": ""}],
        },
    )


def by_hand(name: str = "mine", **status: Any) -> Body:
    """A version of which nothing is known but its file, as an earlier release shows it."""
    return {
        "metadata": {"name": name, "namespace": "team", "creationTimestamp": MADE},
        "spec": {"model": "churn", "artifact": words.artifact()},
        "status": status,
    }


def hostile() -> Body:
    """A version with names that are not meant as names, wherever the API takes any text."""
    return a_body(
        spec={
            "lineage": {
                "parameters": {HOSTILE: HOSTILE},
                "libraries": {HOSTILE: "1"},
                "images": [{"step": HOSTILE, "image": HOSTILE, "imageID": HOSTILE}],
                "code": {"repository": HOSTILE, "revision": HOSTILE},
                "data": [{"uri": HOSTILE, "digest": words.DATA_DIGEST}],
                "author": HOSTILE,
                "recipe": {
                    "data": {
                        "target": HOSTILE,
                        "uri": HOSTILE,
                        "schema": {HOSTILE: HOSTILE},
                        "holdout": HOSTILE,
                    },
                    "trainer": HOSTILE,
                },
            },
            "gates": [{"name": "own", "metric": HOSTILE, "min": 1, "slice": {HOSTILE: HOSTILE}}],
        },
        status={
            "signature": {
                "inputs": [{"name": HOSTILE, "datatype": "FP32", "shape": [-1]}],
                "outputs": [{"name": HOSTILE, "datatype": "FP32", "shape": [-1], "format": HOSTILE}],
                "features": [HOSTILE],
                "classes": [HOSTILE],
            },
            "evaluation": {
                "positiveClass": HOSTILE,
                "baseline": {"label": HOSTILE},
                "confusion": {"classes": [HOSTILE, "b"], "counts": [[1, 2], [3, 4]]},
                "classes": [{"label": HOSTILE, "trainRows": 1, "holdoutRows": 1}],
                "notes": [HOSTILE],
            },
            "metrics": [{"name": HOSTILE, "value": 1, "source": "Reported", "positiveClass": HOSTILE}],
            "importance": [{"feature": HOSTILE, "value": 0.1, "low": 0, "high": 1}],
            "fairness": [{"feature": HOSTILE, "groups": [{"group": HOSTILE, "rows": 1}]}],
            "approvals": [
                {
                    "by": HOSTILE,
                    "at": MADE,
                    "how": "ModelVersion",
                    "decision": "Approve",
                    "reason": HOSTILE,
                    "override": True,
                    "verified": True,
                }
            ],
            "aliases": [HOSTILE[:40]],
        },
    )
