"""Words the page about estimators, and reads its rows."""

from __future__ import annotations

import re
from importlib.metadata import version

from cluster.paths import REPOSITORY

from estimators.catalogue import Trial
from estimators.data import Target
from estimators.trials import KINDS, Outcome

DOCUMENT = REPOSITORY / "docs" / "estimators.md"
ROW = re.compile(r"^\| `([\w.]+)` \|", re.MULTILINE)
SHOWN: dict[Target, str] = {"two": "two classes", "many": "four classes", "regression": "regression"}
REFUSED = {
    "NotConvertible": "refused before training",
    "BadParameters": "refused before training",
    "TrainingFailed": "training fails",
    "ParityFailed": "refused after training",
}

HEAD = """# Which estimators work

Written by `make estimators`. Each row is a run of the real steps (fetch, train, publish) in one process, with the
default parameters, over {rows} rows: five numbers, two of them with gaps, and two categories. Where an
estimator is a parameter, it is a logistic or ridge regression, in Voting and Stacking with a tree beside it.

The number is the largest difference between the ONNX model and the estimator itself over the rows that it has learnt
from: of probabilities (or scores in units of their spread), or of predicted values in units of their spread. `publish`
compares them in each run; a model that predicts otherwise is never published.

Versions: {versions}.
"""


def page(trials: list[Trial], outcomes: list[Outcome], rows: int) -> str:
    """The whole page."""
    versions = ", ".join(
        f"{name} {version(name)}"
        for name in ("scikit-learn", "lightgbm", "xgboost-cpu", "skl2onnx", "onnxruntime")
    )
    parts = [HEAD.format(rows=rows, versions=versions)]
    for classifies, title in ((True, "Classifiers"), (False, "Regressors")):
        chosen = [trial for trial in trials if trial.classifies == classifies]
        works = [trial for trial in chosen if any(one.works for one in _of(trial, outcomes))]
        targets = KINDS[classifies]
        heads = " | ".join(SHOWN[target] for target in targets)
        lines = [f"| estimator | {heads} |", f"|---|{'---|' * len(targets)}"]
        lines += [
            f"| `{trial.name}` | {' | '.join(cell(one) for one in _of(trial, outcomes))} |"
            for trial in chosen
        ]
        parts.append(f"## {title}\n\n{len(works)} of {len(chosen)} work.\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _of(trial: Trial, outcomes: list[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one.path == trial.path]


def cell(outcome: Outcome) -> str:
    """What came of a run, for a cell of the table."""
    if outcome.works:
        apart = "labels equal" if outcome.max_difference is None else f"{outcome.max_difference:.0e}"
        other = f", {outcome.label_mismatches} labels differ" if outcome.label_mismatches else ""
        return f"works: {apart}{other}"
    why = outcome.message.replace("|", "/").replace("\n", " ").removesuffix(".")
    return f"{REFUSED.get(outcome.reason or '', outcome.reason)}: {why}"


def rows_of(text: str) -> dict[str, str]:
    """The rows of the page by the estimator's name."""
    return {match[1]: line for line in text.splitlines() if (match := ROW.match(line))}
