"""Writes the model card: what a person wants to know of a model, in Markdown with a model index on top.

The same report gives the same bytes. Plots are images that hold their own data, which viewers such as VS Code, Jupyter
and MkDocs show; GitHub shows their description instead, and the tables hold the same numbers."""

import json
import re
from collections.abc import Sequence

from modelwright_training.judging import plots
from modelwright_training.judging.plots import Plot
from modelwright_training.message import Json, largest

TASKS = {"Classification": "tabular-classification", "Regression": "tabular-regression"}
# report.json holds all of them.
MOST_CLASSES, MOST_CONFUSED, MOST_FEATURES = 30, 12, 100
CELL = 80
# The operator judges gates later, and people approve later still.
PUBLISHED = (
    "Written when the model was published: verdicts of gates, approvals and aliases came later. "
    "`modelwright card` of its ModelVersion has them."
)
OF_GROUPS = {
    "selectionRate": "answered positive",
    "accuracy": "accuracy",
    "truePositiveRate": "true positive rate",
    "falsePositiveRate": "false positive rate",
    "mae": "mae",
}
DIAGONAL = ((0.0, 0.0), (1.0, 1.0))


def card(report: Json) -> bytes:
    """The model card of a report."""
    parts = [
        _front_matter(report),
        _summary(report),
        _metrics(report),
        _reported(report),
        _gates(report.get("gates", [])),
        _notes(report),
        _roc(report),
        _classes(report["evaluation"]),
        _confusion(report["evaluation"]),
        _thresholds(report["evaluation"]),
        _calibration(report["evaluation"]),
        _residuals(report),
        _importance(report.get("importance", [])),
        _fairness(report.get("fairness", [])),
        _features(report["features"]),
    ]
    text = "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"
    return text.encode(errors="replace")


def _front_matter(report: Json) -> list[str]:
    """The index that model hubs read. JSON is YAML, and quotes every name."""
    index = {
        "name": report["model"],
        "results": [
            {
                "task": {"type": TASKS[report["task"]]},
                "dataset": {
                    "name": report["data"]["source"],
                    "type": "tabular",
                    "revision": report["data"]["digest"],
                },
                "metrics": [
                    {"type": metric["name"], "value": metric["value"]} for metric in _measured(report)
                ],
            }
        ],
    }
    return ["---", "library_name: onnx", f"model-index: {json.dumps([index], ensure_ascii=False)}", "---"]


def _summary(report: Json) -> list[str]:
    artifact, data, training, parity = (report[key] for key in ("artifact", "data", "training", "parity"))
    lines = [
        f"# {_plain(report['model'])}",
        "",
        f"A model for {report['task'].lower()} of {_plain(data['target'])}.",
        "",
        PUBLISHED,
        "",
        f"- trained by: {report['namespace']}/{report['trainingJob']}",
        f"- model: `{artifact['digest']}`, {artifact['size']} bytes",
        f"- data: {_plain(data['source'])}, `{data['digest']}`",
        f"- rows: {data['rows']['train']} to learn from, {data['rows']['holdout']} held out",
    ]
    if "dvc" in data:
        lines.append(f"- tracked by DVC as {_plain(data['dvc']['path'])}, md5 `{data['dvc']['md5']}`")
    if "group" in data:
        lines.append(f"- rows of one {_plain(data['group'])} are on one side")
    if training:
        parameters = _plain(json.dumps(training["parameters"], ensure_ascii=False), 2000)
        lines.append(f"- estimator: {_plain(training['estimator'])}, parameters {parameters}")
    if parity["verdict"] == "Skipped":
        return [*lines, "- not compared with the trainer's library: no reference.npz"]
    return [
        *lines,
        f"- parity with the trainer's library: {parity['verdict']} over {parity['compared']} rows",
    ]


def _metrics(report: Json) -> list[str]:
    evaluation = report["evaluation"]
    level = evaluation.get("intervals", {}).get("level", 0.95)
    rows = [
        (
            f"{metric['name']}{_of(metric)}",
            f"{metric['value']:.6g}",
            f"{metric['low']:.4g} to {metric['high']:.4g}" if "low" in metric else "-",
            f"{metric['baseline']:.4g}" if "baseline" in metric else "-",
        )
        for metric in _measured(report)
    ]
    lines = [
        "## Measured on the hold-out, in ONNX Runtime",
        "",
        *_table(("metric", "value", f"{level:.0%} interval", "baseline"), rows),
        "",
        f"{_baseline(evaluation['baseline'])} {_intervals(evaluation.get('intervals', {}))}",
    ]
    if report["omitted"]:
        lines += ["", *(f"- no {left['name']}: {_plain(left['why'], 300)}" for left in report["omitted"])]
    return lines


def _measured(report: Json) -> list[Json]:
    return [metric for metric in report["metrics"] if "source" not in metric]


def _reported(report: Json) -> list[str]:
    rows = [
        (_plain(metric["name"]), f"{metric['value']:.6g}")
        for metric in report["metrics"]
        if "source" in metric
    ]
    if not rows:
        return []
    return ["## Reported by the trainer, not measured", "", *_table(("number", "value"), rows)]


def _gates(gates: Sequence[Json]) -> list[str]:
    """What was measured for gates. The verdicts are the operator's."""
    if not gates:
        return []
    rows = [
        (
            _plain(found["name"]),
            _plain(found["metric"]),
            f"{found['value']:.4g}" if "value" in found else _plain(found.get("reason", "-")),
            f"{found['low']:.4g} to {found['high']:.4g}" if "low" in found else "-",
            f"{found['measured']:.4g}, {found['reference']:.4g}" if "reference" in found else "-",
            str(found.get("samples", "-")),
        )
        for found in gates
    ]
    said = [
        f"- {_plain(found['name'])}: {_plain(found['message'], 500)}" for found in gates if "message" in found
    ]
    head = ("gate", "metric", "value", "95% interval", "own, other", "rows")
    return ["## Measured for gates", "", *_table(head, rows), *([""] if said else []), *said]


def _of(metric: Json) -> str:
    return f" of {_plain(metric['positiveClass'])}" if "positiveClass" in metric else ""


def _baseline(baseline: Json) -> str:
    if "label" in baseline:
        return (
            f"The baseline always answers {_plain(baseline['label'])}, the class with most training rows, with the "
            "classes' shares of the training rows as probabilities."
        )
    return (
        f"The baseline always answers the mean of the training rows, {baseline['mean']:.6g} (mae, mape and the "
        f"quantiles of the absolute error: the median, {baseline['median']:.6g})."
    )


def _intervals(found: Json) -> str:
    if not found.get("resamples"):
        return "There are no intervals: the hold-out has nothing to draw from."
    units = "rows" if found["unit"] == "Row" else f"{found['groups']} groups of {_plain(found['column'])}"
    return f"The intervals are from {found['resamples']} bootstrap resamples of its {units}."


def _notes(report: Json) -> list[str]:
    notes = [*report["evaluation"]["notes"], *report["data"]["notes"]]
    return ["## Notes", "", *(f"- {_plain(note, 500)}" for note in notes)] if notes else []


def _roc(report: Json) -> list[str]:
    points = report["curves"].get("roc")
    if not points:
        return []
    positive = str(report["evaluation"]["positiveClass"])
    plot = Plot(
        "share of the other class answered positive",
        f"share of {positive} answered positive",
        (0, 1),
        (0, 1),
        guide=DIAGONAL,
        line=[(x, y) for x, y in points],
    )
    area = next(metric["value"] for metric in report["metrics"] if metric["name"] == "roc_auc")
    return [f"## ROC curve of {_plain(positive)}", "", plots.image(plot, f"ROC curve, area {area:.4g}")]


def _classes(evaluation: Json) -> list[str]:
    classes = evaluation.get("classes", [])
    if not classes:
        return []
    learnt, held = evaluation["trainRows"], evaluation["holdoutRows"]
    rows = [
        (
            _plain(entry["label"]),
            f"{entry['trainRows']} ({entry['trainRows'] / learnt:.1%})",
            f"{entry['holdoutRows']} ({entry['holdoutRows'] / held:.1%})",
            *(f"{entry[name]:.4g}" if name in entry else "-" for name in ("precision", "recall", "f1")),
        )
        for entry in largest(classes, MOST_CLASSES)
    ]
    lines = [
        "## Classes",
        "",
        *_table(("class", "training rows", "hold-out rows", "precision", "recall", "f1"), rows),
    ]
    more = len(classes) - len(rows)
    return [*lines, "", f"{more} classes with fewer hold-out rows are in report.json."] if more else lines


def _confusion(evaluation: Json) -> list[str]:
    matrix = evaluation.get("confusion")
    if not matrix or len(matrix["classes"]) > MOST_CONFUSED:
        return []
    labels = [_plain(label) for label in matrix["classes"]]
    rows = [(label, *map(str, counts)) for label, counts in zip(labels, matrix["counts"], strict=True)]
    return ["## Confusion matrix", "", *_table(("true class, answered:", *labels), rows)]


def _thresholds(evaluation: Json) -> list[str]:
    if not evaluation.get("thresholds"):
        return []
    rows = [
        (
            f"{entry['threshold']:.1f}",
            *(f"{entry[name]:.4g}" if name in entry else "-" for name in ("precision", "recall", "share")),
        )
        for entry in evaluation["thresholds"]
    ]
    return [
        f"## Thresholds on the probability of {_plain(evaluation['positiveClass'])}",
        "",
        *_table(("from", "precision", "recall", "share answered positive"), rows),
    ]


def _calibration(evaluation: Json) -> list[str]:
    bins = evaluation.get("calibration")
    if not bins:
        return []
    what = f"of {evaluation['positiveClass']}" if "thresholds" in evaluation else "of the answered class"
    rows = [(f"{part['predicted']:.3f}", f"{part['observed']:.3f}", str(part["rows"])) for part in bins]
    points = [(part["predicted"], part["observed"]) for part in bins]
    plot = Plot(f"mean probability {what}", "how often it was true", (0, 1), (0, 1), DIAGONAL, points, points)
    return [
        f"## Calibration {_plain(what)}",
        "",
        *_table(("mean probability", "how often it was true", "rows"), rows),
        "",
        plots.image(plot, "calibration curve, as in the table"),
    ]


def _residuals(report: Json) -> list[str]:
    quantiles, bands = report["evaluation"].get("residuals"), report["curves"].get("residuals")
    if not quantiles or not bands:
        return []
    rows = [(f"{part['quantile']:.0%}", f"{part['value']:.4g}") for part in quantiles]
    shown = [
        (
            f"{part['predicted']:.4g}",
            str(part["rows"]),
            *(f"{part[name]:.4g}" for name in ("p05", "p50", "p95")),
        )
        for part in bands
    ]
    across = plots.around([part["predicted"] for part in bands])
    plot = Plot(
        "predicted value",
        "true less predicted: 5 % to 95 %",
        across,
        plots.around([0.0, *(part[name] for part in bands for name in ("p05", "p95"))]),
        guide=((across[0], 0.0), (across[1], 0.0)),
        points=[(part["predicted"], part["p50"]) for part in bands],
        bars=[(part["predicted"], part["p05"], part["p95"]) for part in bands],
    )
    return [
        "## Residuals: the true value less the predicted one",
        "",
        *_table(("quantile", "residual"), rows),
        "",
        *_table(("mean predicted", "rows", "5 %", "median", "95 %"), shown),
        "",
        plots.image(plot, "residuals by predicted value, as in the table"),
    ]


def _importance(features: Sequence[Json]) -> list[str]:
    if not features:
        return []
    rows = [
        (
            _plain(feature["feature"]),
            f"{feature['value']:.4g}",
            f"{feature['low']:.4g} to {feature['high']:.4g}" if "low" in feature else "-",
        )
        for feature in features
    ]
    return [
        "## Importance of features",
        "",
        "How much worse the main metric is on the hold-out when the values of a column are shuffled among its rows.",
        "",
        *_table(("column", "loss", "95% interval"), rows),
    ]


def _fairness(tables: Sequence[Json]) -> list[str]:
    lines: list[str] = []
    for found in tables:
        shown = [(key, head) for key, head in OF_GROUPS.items() if any(key in row for row in found["groups"])]
        rows = [
            (
                _plain(row["group"]),
                str(row["rows"]),
                *(f"{row[key]:.4g}" if key in row else "-" for key, _ in shown),
            )
            for row in found["groups"]
        ]
        head = ("group", "hold-out rows", *(head for _, head in shown))
        lines += ["", f"### {_plain(found['feature'])}", "", *_table(head, rows)]
        if "groupCount" in found:
            lines += ["", f"{found['groupCount'] - len(rows)} groups with fewer rows are left out."]
    return ["## Groups", *lines] if lines else []


def _features(features: Sequence[Json]) -> list[str]:
    rows = [
        (_plain(feature["name"]), feature["kind"], f"{feature['missing']:.1%}")
        for feature in features[:MOST_FEATURES]
    ]
    more = len(features) - len(rows)
    lines = ["## Features", "", *_table(("column", "kind", "missing in training rows"), rows)]
    return [*lines, "", f"{more} more features are in report.json."] if more else lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _plain(text: object, most: int = CELL) -> str:
    """A text of the data on one line, without a meaning in Markdown or HTML."""
    line = "".join(char if char.isprintable() else " " for char in str(text))
    short = line if len(line) <= most else f"{line[:most]}…"
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", r"\\\1", short)
