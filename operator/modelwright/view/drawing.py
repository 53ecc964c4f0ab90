"""Draws an InferenceService's rollout as lines of text, for a person who sees it for the first time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from modelwright.api.requests import requester_phrase
from modelwright.view.checks import checks
from modelwright.view.decisions import dated, sentence
from modelwright.view.format import ago, ahead, since, span, table
from modelwright.view.measured import Offline, check_rows, offline
from modelwright.view.model import Canary, InferenceService, Revision, Stable, Step
from modelwright.view.monitoring import monitoring
from modelwright.view.progress import needs_approval, pods, stage

SHOWN_DECISIONS = 5
# The width of the longest of stable, canary, retired, url, preview.
ROLE_WIDTH = 7


NOTHING: Offline = {}


def picture(service: InferenceService, now: datetime, metrics: Offline = NOTHING) -> list[str]:
    """Returns the whole drawing: first the result, then the details. `metrics`: those of the versions."""
    sections: tuple[Iterable[str], ...] = (
        _head(service),
        _revisions(service, now),
        _steps(service, now),
        _checks(service, now),
        offline(service, metrics),
        monitoring(service, now),
        _decisions(service, now),
        _rejected(service, now),
        _conditions(service),
        _notes(service),
    )
    drawn = [lines for lines in map(list, sections) if lines]
    return [line for lines in drawn for line in (*lines, "")][:-1]


def _head(service: InferenceService) -> Iterator[str]:
    current = stage(service)
    deleted = " (it is being deleted)" if service.metadata.deletion_timestamp else ""
    yield f"InferenceService {service.name} in namespace {service.metadata.namespace}{deleted}"
    yield f"{current.result}: {current.sentence}."
    yield from current.advice


def _revisions(service: InferenceService, now: datetime) -> Iterator[str]:
    status, canary = service.status, service.canary
    rows: list[tuple[str, ...]] = []
    if status.stable is not None:
        rows.append((*_named("stable", status.stable), _stable(status.stable, canary, now)))
    if canary is not None:
        rows.append((*_named("canary", canary), _canary(canary, now)))
    if status.retired is not None:
        past = "lost the traffic again" if status.retired.undone else "had the traffic before"
        text = f"{past}; its pods run {ahead(status.retired.until, now)}"
        rows.append((*_named("retired", status.retired), text))
    yield from table(rows)
    if status.url:
        yield f"{'url':<{ROLE_WIDTH}}  {status.url}"
    if canary is not None and canary.url:
        yield f"{'preview':<{ROLE_WIDTH}}  {canary.url} (only the canary answers there)"


def _named(role: str, revision: Revision) -> tuple[str, ...]:
    return f"{role:<{ROLE_WIDTH}}", revision.version, f"revision {revision.revision}"


def _stable(stable: Stable, canary: Canary | None, now: datetime) -> str:
    bake = f"; it may be taken back {ahead(stable.bake_until, now)}" if stable.bake_until else ""
    return f"{pods(stable)}, answers {_rest(canary)} %{bake}"


def _rest(canary: Canary | None) -> int:
    return 100 if canary is None or canary.state == "Failed" else 100 - (canary.weight or 0)


def _canary(canary: Canary, now: datetime) -> str:
    if canary.state == "Failed":
        return f"Failed; it was started {ago(canary.since, now)}"
    share = f", answers {canary.weight} %" if canary.weight is not None else ""
    return f"{pods(canary)}{share}; {canary.state}, started {ago(canary.since, now)}"


def _steps(service: InferenceService, now: datetime) -> Iterator[str]:
    steps, canary = service.steps, service.canary
    if not steps:
        if canary is not None and canary.state != "Failed":
            yield f"Steps: none (strategy {service.spec.rollout.strategy})"
        return
    yield f"Steps{'' if canary else ' of the next rollout'} (strategy {service.spec.rollout.strategy})"
    rows = [_step(service, place, step, now) for place, step in enumerate(steps)]
    yield from (f"  {line}" for line in table(rows))
    yield from (f"  {line}" for line in _met_by(service))


def _step(service: InferenceService, place: int, step: Step, now: datetime) -> tuple[str, ...]:
    mirror = f"copies of {step.mirror} % of the rest" if step.mirror else ""
    mark = _mark(service.canary, place, len(service.steps))
    hold = f"for {span(step.hold_seconds)} or more{', until it is approved' if step.approval else ''}"
    elapsed = (
        _elapsed(service, service.canary, step, now) if mark == "NOW" and service.canary is not None else ""
    )
    return (mark, str(place + 1), f"answers {step.weight} %", mirror, hold, elapsed)


def _mark(canary: Canary | None, place: int, steps: int) -> str:
    """The state of a step: done, NOW, to come; FAILED where the canary failed."""
    if canary is None:
        return ""
    if canary.state == "Completing":
        return "done"
    current = -1 if canary.step is None else min(canary.step, steps - 1)
    if place == current:
        return "FAILED" if canary.state == "Failed" else "NOW"
    later = "" if canary.state == "Failed" else "to come"
    return "done" if place < current else later


def _elapsed(service: InferenceService, canary: Canary, step: Step, now: datetime) -> str:
    elapsed = since(canary.step_since, now)
    if canary.weight != step.weight:
        return "waits for the pods that it needs"
    if elapsed is None:
        return ""
    left = step.hold_seconds - elapsed
    if service.is_paused:
        return f"began {span(elapsed)} ago, paused"
    if left > 0:
        return f"began {span(elapsed)} ago, {span(left)} of its hold left"
    if needs_approval(service, canary):
        return f"began {span(elapsed)} ago, its hold is over: it waits for its checks and for approval"
    return f"began {span(elapsed)} ago, its hold is over: it waits for its checks"


def _met_by(service: InferenceService) -> Iterator[str]:
    """Which requests go to the canary by a header, if the spec has such rules."""
    traffic = service.spec.rollout.traffic
    for header in traffic.headers:
        yield f"Requests with the header {header.name}: {header.value} always go to the canary."
    if traffic.sticky:
        yield f"Who meets the canary is decided by the header {traffic.sticky}: the same value, the same revision."


def _checks(service: InferenceService, now: datetime) -> Iterator[str]:
    """What is asked of the canary while it takes steps, and what was measured of it, or of the revision that bakes."""
    canary, stable = service.canary, service.status.stable
    if canary is None and stable is not None and stable.checks:
        yield "Checks, counted since it took over"
        yield from (f"  {line}" for line in check_rows(stable.checks, stable.since, now))
    if canary is None or not service.steps or canary.state == "Failed":
        return
    yield "What has to hold of the canary at each step, counted since the step began"
    yield from (f"  {line}" for line in checks(service.spec.rollout.analysis))
    if canary.verdict:
        failed = f", {canary.failed_looks} failed looks in a row" if canary.failed_looks else ""
        yield f"At present: {canary.verdict}{failed}"
        yield from (f"  {line}" for line in check_rows(canary.checks, canary.step_since, now))


def _decisions(service: InferenceService, now: datetime) -> Iterator[str]:
    if not service.decisions:
        return
    last, *older = service.decisions
    yield f"Last decision, {ago(last.at, now)}"
    yield f"  {sentence(last, service)}"
    if older:
        yield "Before, the newest first"
        yield from (f"  {dated(decision, service)}" for decision in older[:SHOWN_DECISIONS])
    if len(older) > SHOWN_DECISIONS:
        yield f"  and {len(older) - SHOWN_DECISIONS} more, with -o json"


def _rejected(service: InferenceService, now: datetime) -> Iterator[str]:
    """The revisions that were rolled back, aborted or undone."""
    rejections = service.status.rejected[:SHOWN_DECISIONS]
    if rejections:
        yield "Rejected, and not started again by itself; the newest first"
        rows = [
            (
                each.version,
                f"revision {each.revision}",
                each.reason,
                requester_phrase(each.requested_by) if each.requested_by else "",
                ago(each.at, now),
            )
            for each in rejections
        ]
        yield from (f"  {line}" for line in table(rows))


def _conditions(service: InferenceService) -> Iterator[str]:
    if service.status.conditions:
        yield "Conditions"
        shown: set[str] = set()
        rows = []
        for each in service.status.conditions:
            # Ready and Reconciling have the same message.
            message = "" if each.message in shown else each.message
            rows.append((f"{each.type}={each.status}", each.reason, message))
            shown.add(each.message)
        yield from (f"  {line}" for line in table(rows))


def _notes(service: InferenceService) -> Iterator[str]:
    """A request that the operator has not carried out yet."""
    request = service.request
    handled = (service.status.last_handled_request, *service.status.handled_requests)
    if request is not None and request.rpartition("#")[2] not in handled:
        yield f"The request {request} waits for the operator."
