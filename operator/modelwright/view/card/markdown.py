"""Writes a card as Markdown, with the front matter that model hubs read. Figures are left out: tables have the numbers.

Names of columns, classes and people are not ours. They are escaped, so that they mean nothing in Markdown or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from modelwright.view.card.blocks import Block, Items, Section, Table, Text
from modelwright.view.card.content import sections, title
from modelwright.view.version import Version

TASKS = {"Classification": "tabular-classification", "Regression": "tabular-regression"}
_MEANING = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")


def markdown(version: Version) -> list[str]:
    """Returns the lines of the card."""
    lines = [*_front_matter(version), "", f"# {escaped(title(version))}"]
    for section in sections(version):
        lines += ["", f"## {section.title}", *_section(section)]
    return lines


def escaped(text: object) -> str:
    """Returns a text on one line, without a meaning in Markdown or HTML."""
    line = "".join(char if char.isprintable() else " " for char in str(text))
    return _MEANING.sub(r"\\\1", line)


def _front_matter(version: Version) -> list[str]:
    """The metadata of Hugging Face's model cards, with the metrics in a model-index."""
    head: dict[str, Any] = {"library_name": "onnx", "tags": ["modelwright", version.spec.model]}
    task = TASKS.get(version.status.task or "")
    if task is not None:
        head["pipeline_tag"] = task
    index = _index(version, task)
    if index is not None:
        head["model-index"] = [index]
    text = yaml.safe_dump(head, sort_keys=False, width=10_000)
    return ["---", *text.splitlines(), "---"]


def _index(version: Version, task: str | None) -> dict[str, Any] | None:
    """The entry of the model-index. Hubs refuse one without a task, a data set or metrics."""
    source = next(iter(version.lineage.data or ()), None)
    metrics = [
        {
            "type": metric.name,
            "name": metric.name if metric.source == "Measured" else f"{metric.name} (reported)",
            "value": metric.value,
        }
        for metric in version.status.metrics
    ]
    if task is None or source is None or not metrics:
        return None
    dataset = {
        "name": source.uri,
        "type": "tabular",
        **({"revision": source.digest} if source.digest else {}),
    }
    return {
        "name": version.name,
        "results": [{"task": {"type": task}, "dataset": dataset, "metrics": metrics}],
    }


def _section(section: Section) -> Iterator[str]:
    for block in section.blocks:
        lines = list(_block(block))
        if lines:
            yield ""
            yield from lines


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text(text):
            yield escaped(text)
        case Items(items):
            yield from (f"- {escaped(line)}" for line in items)
        case Table(head, rows):
            yield _row(head)
            yield _row(["---"] * len(head), plain=True)
            yield from map(_row, rows)
        case _:
            return


def _row(cells: Sequence[str], *, plain: bool = False) -> str:
    return f"| {' | '.join(cell if plain else escaped(cell) for cell in cells)} |"
