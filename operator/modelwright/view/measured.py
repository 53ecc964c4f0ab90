"""Draws what was measured of the versions of a rollout: the present checks, and the metrics from before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from modelwright.api.checks import NOT_MEASURED, TOO_FEW, need, progress
from modelwright.api.phrases import counted
from modelwright.view.decisions import METRICS
from modelwright.view.format import number, plain, since, span, table
from modelwright.view.model import Check, InferenceService, Metric

RESULTS = {"Pass": "passes", "Fail": "FAILS", "Inconclusive": "undecided"}
# The metrics of versions, by their name. Versions that are gone, or may not be read, are left out.
Offline = Mapping[str, Sequence[Metric]]


def check_rows(checks: Sequence[Check], began: str | None, now: datetime) -> list[str]:
    """Returns a line for each check: its name, result, numbers and samples. `began`: when the samples began."""
    return table([_row(check, began, now) for check in checks])


def _row(check: Check, began: str | None, now: datetime) -> tuple[str, ...]:
    result = RESULTS.get(check.result, check.result)
    if check.reason == NOT_MEASURED:
        return check.name, result, "", f"waits for {need(check)}"
    return check.name, result, _numbers(check), _samples(check, began, now)


def offline(service: InferenceService, metrics: Offline) -> Iterator[str]:
    """Yields the table of the metrics of the versions that the rollout compares, if any has some."""
    versions = [version for version in service.compared if metrics.get(version)]
    if not versions:
        return
    values = {version: {each.name: each for each in metrics[version]} for version in versions}
    names = dict.fromkeys(each.name for version in versions for each in metrics[version])
    yield "Measured offline, when the versions were made"
    rows = [
        (_named(name, values.values()), *(_metric(values[version].get(name)) for version in versions))
        for name in names
    ]
    yield from (f"  {line}" for line in table([("", *versions), *rows]))


def _named(name: str, versions: Iterable[Mapping[str, Metric]]) -> str:
    """The name of a metric, and the class that it is about, if that is the same one in all versions."""
    classes = {found[name].positive_class for found in versions if name in found}
    return f"{name} of {plain(str(*classes))}" if len(classes) == 1 and None not in classes else name


def _metric(metric: Metric | None) -> str:
    """The value with its interval and its baseline."""
    if metric is None:
        return "-"
    text = number(metric.value)
    if metric.low is not None and metric.high is not None:
        text += f" ({number(metric.low)} to {number(metric.high)})"
    if metric.baseline is not None:
        text += f", baseline {number(metric.baseline)}"
    return f"{text} (reported)" if metric.source == "Reported" else text


def _numbers(check: Check) -> str:
    """The value with its interval, and the limit."""
    if check.value is None:
        return ""
    _, write = METRICS.get(check.name, (check.name, number))
    limit = "" if check.threshold is None else f", limit {write(check.threshold)}"
    if check.low is not None and check.high is not None:
        return f"{write(check.value)} ({write(check.low)} to {write(check.high)}){limit}"
    least = "" if check.low is None else f" ({write(check.low)} or more)"
    return f"{write(check.value)}{least}{limit}"


def _samples(check: Check, began: str | None, now: datetime) -> str:
    """How many samples there are, how many are needed, how long that takes at this rate, and what is in the way."""
    needed = check.samples_needed
    text = counted(check.samples)
    if needed is not None and check.reason == TOO_FEW:
        text = progress(check.samples, needed)
    elif needed is not None:
        text += f", about {needed:,} would decide"
    elif check.result == "Inconclusive" and check.message is None:
        text += f": {check.reason}"
    elapsed = since(began, now)
    if needed is not None and check.samples and elapsed:
        left = (needed - check.samples) * elapsed / check.samples
        text += f": at this rate in {span(left)}" if left > 0 else ""
    return f"{text} ({check.message})" if check.message else text
