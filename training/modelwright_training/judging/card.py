"""Writes the model card: what a person wants to know of a model, in Markdown with a model index on top."""

import json

from modelwright_training.message import Json

TASKS = {"Classification": "tabular-classification", "Regression": "tabular-regression"}


def card(report: Json) -> bytes:
    """The model card of a report."""
    return "\n".join([*_front_matter(report), "", *_body(report), ""]).encode()


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
                    {"type": metric["name"], "value": metric["value"]} for metric in report["metrics"]
                ],
            }
        ],
    }
    return ["---", "library_name: onnx", f"model-index: {json.dumps([index], ensure_ascii=False)}", "---"]


def _body(report: Json) -> list[str]:
    artifact, data, training = report["artifact"], report["data"], report["training"]
    lines = [
        f"# {report['model']}",
        "",
        f"A model for {report['task'].lower()} of `{data['target']}`.",
        "",
        f"- trained by: {report['namespace']}/{report['trainingJob']}",
        f"- model: `{artifact['digest']}`, {artifact['size']} bytes",
        f"- data: `{data['source']}`, `{data['digest']}`",
        f"- rows: {data['rows']['train']} to learn from, {data['rows']['holdout']} held out",
    ]
    if training:
        lines.append(
            f"- estimator: `{training['estimator']}`, parameters `{json.dumps(training['parameters'])}`"
        )
    lines += [f"- note: {note}" for note in data["notes"]]
    lines += ["", "## Measured on the hold-out, in ONNX Runtime", "", "| metric | value |", "|---|---|"]
    lines += [f"| {metric['name']} | {metric['value']:.6g} |" for metric in report["metrics"]]
    lines += [f"| {left['name']} | none: {left['why']} |" for left in report["omitted"]]
    return [*lines, "", f"Parity with the trainer's own library: {report['parity']['verdict']}."]
