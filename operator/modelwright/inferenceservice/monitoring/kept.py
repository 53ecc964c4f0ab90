"""What is kept of the windows of a service in its ConfigMap, as text. Pure.

It is all that a restarted operator has to know: what ended processes have counted in windows that are not judged yet,
and the results of those that are. It changes when a window with traffic is judged and when a process with counts ends.

The text may come from another release or a person. One that cannot be read counts as none, and is written again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, FiniteFloat, ValidationError

from modelwright.api.base import Label, Model, Reason
from modelwright.api.monitoring import MOST_WORST, Count, DriftedFeature
from modelwright.inferenceservice.monitoring import counts
from modelwright.inferenceservice.monitoring.counts import Counts

# The windows whose results are kept.
MOST_WINDOWS = 24
# The ended processes whose counts are held here. Those beyond them are not taken over.
MOST_PROCESSES = 1000
# The most characters of the text.
LARGEST = 64 * 1024
_UNPACKED = 8 * 1024 * 1024
_MARK = 12
# What reading a part that is garbled raises.
_DAMAGES = (ValueError, TypeError, KeyError, AttributeError)

_Part = TypeVar("_Part")
Verdict = Literal["NoDrift", "Drifted", "Inconclusive"]
Second = Annotated[int, Field(ge=0, le=20_000_000_000)]


class JudgedWindow(Model):
    """A window that was judged, or that could not be."""

    start: Second
    requests: Count
    rows: Count
    # None: drift is not watched.
    verdict: Verdict | None = None
    reason: Reason | None = None
    worst: Annotated[list[DriftedFeature], Field(max_length=MOST_WORST)] = Field(default=[])
    estimated_accuracy: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None


class Streak(Model):
    """The newest windows with the same verdict."""

    verdict: Literal["NoDrift", "Drifted"]
    windows: Count
    rows: Count
    since: Second


class _Document(Model):
    format: Literal[1]
    revision: Label
    digest: Annotated[str, Field(max_length=71)]
    window_seconds: Annotated[int, Field(ge=1, le=604800)]
    closed: Annotated[int, Field(ge=-1)] = -1
    absorbed: Annotated[list[Annotated[str, Field(max_length=_MARK)]], Field(max_length=MOST_PROCESSES)] = (
        Field(default=[])
    )
    windows: Annotated[list[JudgedWindow], Field(max_length=MOST_WINDOWS)] = Field(default=[])
    streak: Streak | None = None
    drifted: bool | None = None
    positive: Count | None = None
    packed: str = ""


@dataclass(frozen=True)
class Labels:
    """What became of predictions whose labels came in some windows in a row."""

    start: int
    end: int
    # Scores of the model that serves, and outcomes of all labels: as in `Counts`.
    scores: Counts
    outcomes: Mapping[str, int]


@dataclass(frozen=True)
class Kept:
    """What is known of the windows of one revision."""

    revision: str
    # Of the model file.
    digest: str
    window_seconds: int
    # The id of the last window that was judged; -1: none was.
    closed: int = -1
    # What ended processes have counted in later windows, and the marks of these processes.
    open: Mapping[int, Counts] = field(default_factory=dict)
    absorbed: tuple[str, ...] = ()
    # The results, the newest first.
    windows: tuple[JudgedWindow, ...] = ()
    streak: Streak | None = None
    # Whether there is drift, by so many windows in a row; None: no window was judged yet.
    drifted: bool | None = None
    labels: tuple[Labels, ...] = ()
    # The index of the positive class of the model; None if it is not known.
    positive: int | None = None

    @property
    def latest(self) -> int:
        """The end of the last window that something is known of, in seconds since 1970; 0 if nothing is."""
        ends = [
            (self.closed + 1) * self.window_seconds,
            *(window.start + self.window_seconds for window in self.windows),
            *(each.end for each in self.labels),
        ]
        return max(ends) if self.streak is None else max(*ends, self.streak.since)


def mark(process: str) -> str:
    """Returns a short name of a process."""
    return hashlib.sha256(process.encode()).hexdigest()[:_MARK]


def read(content: object) -> Kept | None:
    """Returns what is kept; None if it cannot be read."""
    if not isinstance(content, str) or len(content) > LARGEST:
        return None
    try:
        document = _Document.model_validate_json(content)
        opened, labels = _unpacked(document.packed)
        return Kept(
            document.revision,
            document.digest,
            document.window_seconds,
            document.closed,
            opened,
            tuple(document.absorbed),
            tuple(document.windows),
            document.streak,
            document.drifted,
            labels,
            document.positive,
        )
    except (ValidationError, ValueError):
        return None


def text(kept: Kept) -> str:
    """Returns the text. What does not fit is left out: first the details of older windows, then those of labels,
    then those of features."""
    for smaller in (_same, _without_worst, *(_fewer_labels,) * 5, _without_cells, _without_labels):
        kept = smaller(kept)
        written = _text(kept)
        if len(written) <= LARGEST:
            return written
    return _text(replace(kept, open={}, labels=(), windows=kept.windows[:1]))


def _text(kept: Kept) -> str:
    document = _Document(
        format=1,
        revision=kept.revision,
        digest=kept.digest,
        window_seconds=kept.window_seconds,
        closed=kept.closed,
        absorbed=list(kept.absorbed),
        windows=list(kept.windows),
        streak=kept.streak,
        drifted=kept.drifted,
        positive=kept.positive,
        packed=_packed(kept),
    )
    return json.dumps(
        document.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        | {"format": 1},
        ensure_ascii=False,  # names of features are in the script of their country
        sort_keys=True,
        separators=(",", ":"),
    )


def _packed(kept: Kept) -> str:
    if not kept.open and not kept.labels:
        return ""
    labels = [
        {"start": each.start, "end": each.end, "scores": each.scores, "outcomes": each.outcomes}
        for each in kept.labels
    ]
    document = {"open": {str(key): found for key, found in kept.open.items()}, "labels": labels}
    whole = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(whole, 6)).decode()


def _unpacked(packed: str) -> tuple[dict[int, Counts], tuple[Labels, ...]]:
    """The counts of open windows, and the labels. What of them cannot be read is left out."""
    try:
        whole = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), _UNPACKED)
        document = json.loads(whole) if packed else {}
        opened, labels = document.get("open", {}).items(), list(document.get("labels", ()))
    except (*_DAMAGES, RecursionError, zlib.error):
        return {}, ()
    read_windows = ((key, _or_none(counts.read, found)) for key, found in opened)
    read_labels = (_or_none(_labels, each) for each in labels)
    return (
        {int(key): found for key, found in read_windows if found is not None and key.isdecimal()},
        tuple(found for found in read_labels if found is not None)[:MOST_WINDOWS],
    )


def _or_none(parse: Callable[[Any], _Part], document: object) -> _Part | None:
    try:
        return parse(document)
    except _DAMAGES:
        return None


def _labels(document: Mapping[str, Any]) -> Labels:
    """Raises one of _DAMAGES if it cannot be read."""
    bare = dict.fromkeys(counts.NUMBERS, 0)
    outcomes = counts.read({**bare, "outcomes": document["outcomes"]}).get("outcomes", {})
    scores = counts.read_scores(document["scores"]) if document["scores"] else {}
    start, end = document["start"], document["end"]
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise ValueError("the stretch has no times")
    return Labels(start, end, scores, outcomes)


def _same(kept: Kept) -> Kept:
    return kept


def _fewer_labels(kept: Kept) -> Kept:
    """With the labels of two windows joined, each time."""
    labels = kept.labels
    pairs = [labels[index : index + 2] for index in range(0, len(labels), 2)]
    return replace(kept, labels=tuple(pair[0] if len(pair) == 1 else joined(*pair) for pair in pairs))


def joined(later: Labels, earlier: Labels) -> Labels:
    """Returns the labels of two stretches of windows as those of one."""
    scores = counts.add_scores(earlier.scores, later.scores)
    outcomes = counts.add({"outcomes": earlier.outcomes}, {"outcomes": later.outcomes})["outcomes"]
    return Labels(min(earlier.start, later.start), max(earlier.end, later.end), scores, outcomes)


def _without_worst(kept: Kept) -> Kept:
    bare = [window.model_copy(update={"worst": window.worst[:1]}) for window in kept.windows[1:]]
    return replace(kept, windows=(*kept.windows[:1], *bare))


def _without_cells(kept: Kept) -> Kept:
    cells = ("features", "projections")
    return replace(
        kept,
        open={
            key: {name: part for name, part in found.items() if name not in cells}
            for key, found in kept.open.items()
        },
    )


def _without_labels(kept: Kept) -> Kept:
    return replace(kept, labels=kept.labels[:1])
