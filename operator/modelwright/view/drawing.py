"""Draws an InferenceService's rollout as lines of text, for somebody who sees it for the first time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from modelwright.api.requests import asked_for
from modelwright.view.checks import checks
from modelwright.view.decisions import before, sentence
from modelwright.view.format import ago, ahead, since, span
from modelwright.view.model import Canary, InferenceService, Revision, Stable, Step
from modelwright.view.progress import needs_approval, pods, stage

SHOWN_DECISIONS = 5
# As wide as the longest of stable, canary, retired, url, preview.
PART = 7


def picture(seen: InferenceService, now: datetime) -> list[str]:
    """All of it: first the answer, then what it rests on."""
    sections: tuple[Iterable[str], ...] = (
        _head(seen),
        _revisions(seen, now),
        _steps(seen, now),
        _checks(seen),
        _decisions(seen, now),
        _rejected(seen, now),
        _conditions(seen),
        _notes(seen),
    )
    drawn = [lines for lines in map(list, sections) if lines]
    return [line for lines in drawn for line in (*lines, "")][:-1]


def _head(seen: InferenceService) -> Iterator[str]:
    found = stage(seen)
    going = " (it is being deleted)" if seen.metadata.deletion_timestamp else ""
    yield f"InferenceService {seen.name} in namespace {seen.metadata.namespace}{going}"
    yield f"{found.result}: {found.sentence}."
    yield from found.advice


def _revisions(seen: InferenceService, now: datetime) -> Iterator[str]:
    status, canary = seen.status, seen.canary
    rows: list[tuple[str, ...]] = []
    if status.stable is not None:
        rows.append((*_named("stable", status.stable), _stable(status.stable, canary, now)))
    if canary is not None:
        rows.append((*_named("canary", canary), _canary(canary, now)))
    if status.retired is not None:
        lost = "lost the traffic again" if status.retired.undone else "had the traffic before"
        told = f"{lost}; its pods run {ahead(status.retired.until, now)}"
        rows.append((*_named("retired", status.retired), told))
    yield from table(rows)
    if status.url:
        yield f"{'url':<{PART}}  {status.url}"
    if canary is not None and canary.url:
        yield f"{'preview':<{PART}}  {canary.url} (only the canary answers there)"


def _named(part: str, revision: Revision) -> tuple[str, ...]:
    return f"{part:<{PART}}", revision.version, f"revision {revision.revision}"


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


def _steps(seen: InferenceService, now: datetime) -> Iterator[str]:
    steps, canary = seen.steps, seen.canary
    if not steps:
        if canary is not None and canary.state != "Failed":
            yield f"Steps: none (strategy {seen.spec.rollout.strategy})"
        return
    yield f"Steps{'' if canary else ' of the next rollout'} (strategy {seen.spec.rollout.strategy})"
    rows = [_step(seen, place, step, now) for place, step in enumerate(steps)]
    yield from (f"  {line}" for line in table(rows))
    yield from (f"  {line}" for line in _met_by(seen))


def _step(seen: InferenceService, place: int, step: Step, now: datetime) -> tuple[str, ...]:
    mirror = f"hears {step.mirror} % of the rest" if step.mirror else ""
    mark = _mark(seen.canary, place, len(seen.steps))
    hold = f"for {span(step.hold_seconds)} or more{', until it is approved' if step.approval else ''}"
    told = _elapsed(seen, seen.canary, step, now) if mark == "NOW" and seen.canary is not None else ""
    return (mark, str(place + 1), f"answers {step.weight} %", mirror, hold, told)


def _mark(canary: Canary | None, place: int, steps: int) -> str:
    """What became of the step; where it ended for a canary that failed."""
    if canary is None:
        return ""
    if canary.state == "Completing":
        return "done"
    at = -1 if canary.step is None else min(canary.step, steps - 1)
    if place == at:
        return "FAILED" if canary.state == "Failed" else "NOW"
    later = "" if canary.state == "Failed" else "to come"
    return "done" if place < at else later


def _elapsed(seen: InferenceService, canary: Canary, step: Step, now: datetime) -> str:
    gone = since(canary.step_since, now)
    if canary.weight != step.weight:
        return "waits for the pods that it needs"
    if gone is None:
        return ""
    left = step.hold_seconds - gone
    if seen.is_paused:
        return f"began {span(gone)} ago, paused"
    if left > 0:
        return f"began {span(gone)} ago, {span(left)} of its hold left"
    if needs_approval(seen, canary):
        return f"began {span(gone)} ago, its hold is over: it waits for its checks and for approval"
    return f"began {span(gone)} ago, its hold is over: it waits for its checks"


def _met_by(seen: InferenceService) -> Iterator[str]:
    """Who meets the canary, where it is not just anybody."""
    traffic = seen.spec.rollout.traffic
    for header in traffic.headers:
        yield f"Requests with the header {header.name}: {header.value} always go to the canary."
    if traffic.sticky:
        yield f"Who meets the canary is decided by the header {traffic.sticky}: the same value, the same revision."


def _checks(seen: InferenceService) -> Iterator[str]:
    """What is asked of it, and how it does; only while it matters."""
    canary = seen.canary
    if canary is None or not seen.steps or canary.state == "Failed":
        return
    yield "What has to hold of the canary at each step, counted since the step began"
    yield from (f"  {line}" for line in checks(seen.spec.rollout.analysis))
    if canary.verdict:
        failed = f", {canary.failed_looks} failed looks in a row" if canary.failed_looks else ""
        yield f"  At present: {canary.verdict}{failed}"
        yield from (f"  Waits for {each}" for each in canary.waiting_for)


def _decisions(seen: InferenceService, now: datetime) -> Iterator[str]:
    if not seen.decisions:
        return
    last, *older = seen.decisions
    yield f"Last decision, {ago(last.at, now)}"
    yield f"  {sentence(last, seen)}"
    if older:
        yield "Before, the newest first"
        yield from (f"  {before(decision, seen)}" for decision in older[:SHOWN_DECISIONS])
    if len(older) > SHOWN_DECISIONS:
        yield f"  and {len(older) - SHOWN_DECISIONS} more, with -o json"


def _rejected(seen: InferenceService, now: datetime) -> Iterator[str]:
    """What was rolled back, aborted or undone."""
    found = seen.status.rejected[:SHOWN_DECISIONS]
    if found:
        yield "Rejected, and not started again by itself; the newest first"
        rows = [
            (
                each.version,
                f"revision {each.revision}",
                each.reason,
                asked_for(each.requested_by) if each.requested_by else "",
                ago(each.at, now),
            )
            for each in found
        ]
        yield from (f"  {line}" for line in table(rows))


def _conditions(seen: InferenceService) -> Iterator[str]:
    if seen.status.conditions:
        yield "Conditions"
        rows = [(f"{c.type}={c.status}", c.reason, c.message) for c in seen.status.conditions]
        yield from (f"  {line}" for line in table(rows))


def _notes(seen: InferenceService) -> Iterator[str]:
    """A request that the operator has not carried out yet."""
    request = seen.request
    handled = (seen.status.last_handled_request, *seen.status.handled_requests)
    if request is not None and request.rpartition("#")[2] not in handled:
        yield f"The request {request} waits for the operator."


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows whose columns stand under each other; columns without a word in any row are left out."""
    kept = list(rows)
    columns = [column for column in zip(*kept, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return ["  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
