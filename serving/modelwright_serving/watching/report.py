"""What GET /monitor answers: the counts of the last windows as JSON, in the order of the profile. Pure.

docs/contracts/monitor.schema.json describes it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Protocol

import orjson

from modelwright_serving.watching.cells import MISSING, OTHER, Cells, code_widths
from modelwright_serving.watching.places import Places
from modelwright_serving.watching.windows import Window

Json = dict[str, Any]
_NO_CELLS: Json = {"features": None, "projections": None, "predictions": None}
# That Kubernetes keeps of a termination message.
MAX_TERMINATION = 4096


class Feedback(Protocol):
    """The labels that callers have sent, by window."""

    @property
    def state(self) -> str:
        """Off, Ready or KeyMissing."""
        ...

    def ids(self) -> Iterable[int]:
        """The windows with labels."""
        ...

    def part(self, window_id: int, /) -> Mapping[str, Any]:
        """What a window says of them: `feedback` and `outcomes`."""
        ...

    def forget(self) -> None:
        """Begin again, with windows of another length."""
        ...


def windows(kept: Iterable[Window], places: Places | None, feedback: Feedback) -> list[Json]:
    """All windows in which something happened, in the order of time."""
    found = {window.id: window for window in kept}
    every = sorted({*found, *feedback.ids()})
    return [_window(found.get(identity, Window(identity)), places, feedback) for identity in every]


def _window(window: Window, places: Places | None, feedback: Feedback) -> Json:
    return {
        "id": window.id,
        "requests": window.requests,
        "rows": window.rows,
        "counted": window.counted,
        "squares": window.squares,
        **(_NO_CELLS if places is None else _shown(window, places)),
        "feedback": {},
        "outcomes": {},
        **feedback.part(window.id),
    }


def _shown(window: Window, places: Places) -> Json:
    """The cells; made once of a window that is over."""
    if window.shown is None or window.shown[0] != window.counted:
        window.shown = window.counted, _cells(places, window.cells or Cells(places))
    return window.shown[1]


def _cells(places: Places, cells: Cells) -> Json:
    projections = places.profile.projections
    return {
        "features": _features(places, cells),
        "projections": None
        if projections is None
        else [
            counts[: len(edges) + 1]
            for counts, edges in zip(cells.projected.tolist(), projections.edges, strict=True)
        ],
        "predictions": _predictions(places, cells),
    }


def _features(places: Places, cells: Cells) -> list[list[int]]:
    """Of each feature its cells, then other, missing and outside."""
    features = places.profile.features
    found: list[list[int]] = [[]] * len(features)
    between, outside = (part.tolist() for part in places.merging.merged(cells.ranged))
    missing = cells.ranged[:, -1].tolist()
    for row, place in enumerate(places.ranged):
        found[place] = [*between[row][: features[place].cells], 0, missing[row], outside[row]]
    for place, numbers in zip(places.valued, cells.valued.tolist(), strict=True):
        found[place] = [*numbers[1 : features[place].cells + 1], numbers[0], numbers[-1], 0]
    starts = accumulate(code_widths(places), initial=0)
    coded = cells.coded.tolist()
    for place, start in zip(places.coded, starts, strict=False):
        end = start + features[place].cells
        found[place] = [*coded[start:end], coded[end + OTHER], coded[end + MISSING], 0]
    return found


def _predictions(places: Places, cells: Cells) -> Json | None:
    predictions = places.profile.predictions
    if predictions is None:
        return None
    if predictions.ranges is not None:
        between, outside = places.value_merging.merged(cells.values)
        return {
            "counts": between[0, : len(predictions.ranges.edges) + 1].tolist(),
            "outside": int(outside[0]),
        }
    return {
        "labels": cells.labels.tolist(),
        "scores": cells.scores[0, :-1].tolist()
        if predictions.is_probable and predictions.positive is not None
        else None,
        "confidence": cells.confidence[0, :-1].tolist() if predictions.is_probable else None,
    }


def last(report: Json) -> bytes:
    """The termination message of a server that ends: as much of its report as fits, its newest windows first."""
    for smaller in _smaller(report):
        packed = base64.b64encode(zlib.compress(orjson.dumps(smaller), 9)).decode()
        message = orjson.dumps({"step": "serve", "monitor": packed})
        if len(message) <= MAX_TERMINATION:
            return message
    return b""


def _smaller(report: Json) -> Iterator[Json]:
    """The report with ever less: without its oldest windows, projections, features and predictions."""
    newest = report["windows"]
    for count in range(len(newest), 0, -1):
        yield {**report, "windows": newest[-count:]}
    windows = newest[-1:]
    for name in ("projections", "features", "predictions"):
        windows = [{**window, name: None} for window in windows]
        yield {**report, "windows": windows}
    yield {**report, "windows": [{**window, "feedback": {}, "outcomes": {}} for window in windows]}
