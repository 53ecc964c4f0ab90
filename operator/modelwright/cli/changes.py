"""Describes the changes between two states of a rollout, as lines for a log. Pure."""

from __future__ import annotations

from datetime import datetime

from modelwright.common.times import to_timestamp
from modelwright.view.decisions import sentence
from modelwright.view.model import InferenceService
from modelwright.view.progress import pods, stage


def changes(before: InferenceService | None, after: InferenceService, now: datetime) -> list[str]:
    """Returns the new decisions, the oldest first, then the state if it has changed. `before` is None at first."""
    known = [] if before is None else before.decisions
    fresh = [] if before is None else [decision for decision in after.decisions if decision not in known]
    lines = [f"{decision.at}  {sentence(decision, after)}" for decision in reversed(fresh)]
    line = _line(after)
    return lines if before is not None and line == _line(before) else [*lines, f"{to_timestamp(now)}  {line}"]


def _line(service: InferenceService) -> str:
    current, canary = stage(service), service.canary
    running = f" ({pods(canary)})" if canary is not None and canary.state != "Failed" else ""
    return f"{current.result}: {current.sentence}{running}"
