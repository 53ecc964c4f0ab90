"""Draws what was found of the requests to an InferenceService: drift, and scores by the labels of callers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from modelwright.view.format import ago, number, plain, span, table
from modelwright.view.model import DriftedFeature, InferenceService, Monitoring, Score

RESULTS = {"Pass": "on target", "Fail": "BELOW TARGET", "Inconclusive": "undecided"}


def monitoring(service: InferenceService, now: datetime) -> Iterator[str]:
    """Yields the last window of requests, what is furthest from the hold-out, and the scores; nothing if nothing is
    watched, or nothing is known yet."""
    found = service.status.monitoring
    if found is None:
        return
    yield "Requests, compared with the hold-out of the version"
    if found.window_start is not None:
        yield f"  {_window(found, now)}"
    yield from (f"  {line}" for line in table([_feature(each) for each in found.worst]))
    if found.estimated is not None and found.estimated.accuracy is not None:
        yield f"  estimated accuracy {number(found.estimated.accuracy)}: without labels, so blind to changes of meaning"
    if found.scores:
        yield "Scores by the labels of callers"
        yield from (f"  {line}" for line in table([_score(each) for each in found.scores]))
    yield from _labels(found)


def _window(found: Monitoring, now: datetime) -> str:
    text = f"window of {span(found.window_seconds)} that began {ago(found.window_start, now)}: {found.rows:,} rows"
    if found.verdict is None:
        return text
    reason = f" ({found.reason})" if found.reason and found.reason != found.verdict else ""
    row = f", {found.in_a_row} in a row" if found.in_a_row > 1 else ""
    return f"{text}, {found.verdict}{reason}{row}"


def _feature(each: DriftedFeature) -> tuple[str, ...]:
    """A line about one test. The names of features and cells are the data's."""
    mark = "DRIFTED" if abs(each.value) > each.threshold else "ok"
    numbers = f"{each.statistic} {number(each.value)}, limit {number(each.threshold)}"
    share = ""
    if each.cell is not None and each.share is not None and each.expected is not None:
        share = f"{plain(each.cell)}: {100 * each.share:.3g} % instead of {100 * each.expected:.3g} %"
    return mark, plain(each.feature), numbers, share


def _score(each: Score) -> tuple[str, ...]:
    value = "-" if each.value is None else number(each.value)
    if each.low is not None and each.high is not None:
        value += f" ({number(each.low)} to {number(each.high)})"
    bounds = (("at least", each.min), ("at most", each.max))
    limits = [f"{word} {number(limit)}" for word, limit in bounds if limit is not None]
    return (
        each.name,
        value,
        ", ".join(limits),
        RESULTS.get(each.verdict, each.verdict),
        f"{each.samples:,} labels",
    )


def _labels(found: Monitoring) -> Iterator[str]:
    counts = found.feedback
    if counts is None:
        return
    if counts.state == "KeyMissing":
        yield "  a pod has no key for feedback: the Secret, or its entry `key`, is missing"
    lost = [
        f"{count:,} {what}"
        for what, count in (
            ("duplicate", counts.duplicate),
            ("forged", counts.forged),
            ("expired", counts.expired),
            ("of an unknown class", counts.unknown_label),
        )
        if count
    ]
    if lost:
        yield f"  labels that do not count: {', '.join(lost)}"
