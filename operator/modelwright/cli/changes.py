"""What has changed between two looks at a rollout, as lines for a log. Pure."""

from __future__ import annotations

from datetime import datetime

from modelwright.common.times import to_timestamp
from modelwright.view.decisions import sentence
from modelwright.view.model import InferenceService
from modelwright.view.progress import pods, stage


def changes(before: InferenceService | None, after: InferenceService, now: datetime) -> list[str]:
    """New decisions, the oldest first, then where it stands if that is new. The first look has no news."""
    known = [] if before is None else before.decisions
    fresh = [] if before is None else [decision for decision in after.decisions if decision not in known]
    told = [f"{decision.at}  {sentence(decision, after)}" for decision in reversed(fresh)]
    line = _line(after)
    return told if before is not None and line == _line(before) else [*told, f"{to_timestamp(now)}  {line}"]


def _line(seen: InferenceService) -> str:
    found, canary = stage(seen), seen.canary
    running = f" ({pods(canary)})" if canary is not None and canary.state != "Failed" else ""
    return f"{found.result}: {found.sentence}{running}"
