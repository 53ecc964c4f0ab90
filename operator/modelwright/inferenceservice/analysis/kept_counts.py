"""What is kept of a step in a ConfigMap, as text. Pure.

A restarted operator goes on to count with it where the one before ended. It changes only when a pod comes or goes, or
its container is restarted, because the pods themselves hold the counters. What a pod counted after its last scrape
before it went is lost, and so is what it counted between two restarts of its container without an operator.

The text may come from another release or a person: what cannot be read is ignored. A pod that is not kept counts from
its next scrape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeVar

from modelwright.inferenceservice.analysis.exposition import (
    KEPT,
    MOST_COUNTED,
    MOST_LINES,
    Counts,
    sample,
)
from modelwright.inferenceservice.analysis.scrape_targets import Step
from modelwright.inferenceservice.analysis.tally import Kept, PodOffset

# The most characters of the text. Pods beyond them are not kept. An object of the API server has at most 1.5 MiB.
LARGEST = 256 * 1024
_SEPARATOR = "/"

T = TypeVar("T")


def text(step: Step, kept: Kept) -> str:
    """Returns the text. Counts about other revisions than those of the step are left out."""
    about = step.revisions | {step.retired}
    models = {step.model, step.stable_model}
    pods: dict[str, object] = {}
    gone = {revision: _nested(counts, about, models) for revision, counts in sorted(kept.gone.items())}
    document = {"since": step.since, "judged": step.judged, "gone": gone, "pods": pods}
    left = LARGEST - len(_json(document))
    # First those of the judged revision: there are fewer of them.
    for uid, pod in sorted(kept.pods.items(), key=lambda item: (item[1].revision != step.judged, item[0])):
        entry = {
            "revision": pod.revision,
            "started": pod.started,
            "offset": _nested(pod.offset, about, models),
        }
        left -= len(_json({uid: entry}))
        if left < 0:
            break
        pods[uid] = entry
    return _json(document)


def read(content: object, step: Step) -> Kept:
    """Returns what is kept of this step; nothing if the content is about another step, or cannot be read."""
    try:
        document = json.loads(content) if isinstance(content, str) else None
    except (ValueError, RecursionError):
        return Kept()
    if not isinstance(document, dict) or (document.get("since"), document.get("judged")) != (
        step.since,
        step.judged,
    ):
        return Kept()
    return Kept(dict(_each(document.get("pods"), _pod)), dict(_each(document.get("gone"), _sums)))


def _each(entries: object, reader: Callable[[object], T]) -> Iterator[tuple[str, T]]:
    """The entries that can be read."""
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            yield name, reader(entry)
        except (ValueError, TypeError):
            continue


def _pod(entry: object) -> PodOffset:
    fields = _mapping(entry)
    revision = fields.get("revision")
    if not isinstance(revision, str):
        raise TypeError("a revision that is no text")
    return PodOffset(revision, _number(fields.get("started")), _flat(fields.get("offset"), -MOST_COUNTED))


def _sums(entry: object) -> Counts:
    return _flat(entry, 0.0)


def _nested(
    counts: Counts, revisions: Collection[str | None], models: Collection[str]
) -> dict[str, dict[str, float]]:
    """The counts that are not 0, by the metric's name and the values of its labels."""
    of = {"revision": revisions, "digest": models}
    found: dict[str, dict[str, float]] = {}
    for (name, *values), count in sorted(counts.items()):
        first = KEPT[name][0]
        if count and (first not in of or values[0] in of[first]):
            number = int(count) if count.is_integer() else count
            found.setdefault(name, {})[_SEPARATOR.join(values)] = number
    return found


def _flat(nested: object, least: float) -> Counts:
    """The counts of metrics that this release knows. Raises ValueError or TypeError if one of these cannot be read."""
    counts: Counts = {}
    for name, by_labels in _mapping(nested).items():
        for labels, count in _mapping(by_labels).items() if name in KEPT else ():
            counts[sample(name, labels.split(_SEPARATOR))] = _number(count, least)
    if len(counts) > MOST_LINES:
        raise ValueError(f"more than {MOST_LINES} samples")
    return counts


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError("a value that is no object")
    return value


def _number(value: object, least: float = 0.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= MOST_COUNTED:
        raise ValueError("a value that is no count")
    return float(value)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
