"""Puts into words what was measured, asked and answered. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]
# What the numbers of the data set's target stand for; scikit-learn documents it with the data.
MEANING = {0: "malignant", 1: "benign"}
SHOWN = 4


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def model(version: Object, run: Object) -> list[str]:
    """What is known of the model."""
    status, data = version["status"], run.get("data") or {}
    rows = f"{data.get('trainRows')} rows learnt from, {data.get('holdoutRows')} held out and scored"
    measured = [("metric", "value", "")]
    measured += [(m["name"], f"{m['value']:.4f}", m["source"].lower()) for m in status.get("metrics") or []]
    return [
        f"ModelVersion {version['metadata']['name']}: {rows}",
        f"  {version['spec']['artifact']['digest']}",
        *_parity(status.get("parity") or {}),
        "",
        *table(measured),
    ]


def _parity(parity: Mapping[str, Any]) -> list[str]:
    if parity.get("verdict") != "Pass":
        return []
    difference = parity.get("maxDifference")
    within = f", no probability off by more than {difference:.0e}" if difference else ""
    return [f"  answers as scikit-learn does on {parity.get('compared')} rows{within}"]


def request(body: Object, features: Sequence[str]) -> list[str]:
    """The rows of a request of one matrix, cut short."""
    (matrix,) = body["inputs"]
    count, width = matrix["shape"]
    shown = []
    for row in range(count):
        values = matrix["data"][row * width : row * width + SHOWN]
        named = zip(features, values, strict=False) if features else enumerate(values)
        shown.append(
            f"  row {row}: {', '.join(f'{name} {value}' for name, value in named)}, ... {width} in all"
        )
    return shown


def answers(body: Object, classes: Sequence[Any]) -> list[str]:
    """Label, meaning and probability of each row."""
    outputs = {output["name"]: output for output in body["outputs"]}
    labels = outputs["label"]["data"]
    width = outputs["probabilities"]["shape"][-1]
    flat = outputs["probabilities"]["data"]
    names = [str(each) for each in classes]
    rows = []
    for row, label in enumerate(labels):
        place = names.index(str(label))
        rows.append(
            f"  row {row}: {label} ({MEANING.get(label, '?')}), probability {flat[row * width + place]:.4f}"
        )
    return rows


def next_steps(namespace: str, name: str, setup: Sequence[str], cleanup: Sequence[str]) -> list[str]:
    """What to type now."""
    change = json.dumps({"spec": {"trainer": {"sklearn": {"parameters": {"max_iter": 50}}}}})
    on = f"kubectl -n {namespace}"
    return [
        "What to type next",
        *(f"  {line}" for line in setup),
        "",
        "  # everything at a glance; lineage, metrics and signature of the model",
        f"  {on} get modelwright",
        f"  {on} describe modelversion",
        "",
        "  # another recipe is another run, and the service follows to its version by itself",
        f"  {on} patch trainingjob {name} --type=merge -p '{change}'",
        f"  {on} get modelwright --watch",
        "",
        "  # your own data, image, model: examples/README.md",
        "",
        "To clean up",
        f"  kubectl delete namespace {namespace}",
        *(f"  {line}" for line in cleanup),
    ]
