"""The scores by feedback, of the labels that are kept. Pure; `checks.scores` has the statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Literal, cast

from modelwright.api.monitoring import MIN_LABELS, FeedbackCounts, MeasuredScore, ScoreTarget
from modelwright.checks import scores as checks
from modelwright.inferenceservice.monitoring import counts
from modelwright.inferenceservice.monitoring.kept import Labels

_STATES = ("Off", "Ready", "KeyMissing")


def scores(
    targets: Iterable[ScoreTarget], labels: Sequence[Labels], positive: int | None
) -> list[MeasuredScore]:
    """Returns the scores that are asked for. `positive`: the index of the positive class."""
    feedback: counts.Counts = reduce(counts.add_scores, (each.scores for each in labels if each.scores), {})
    return [_measured(target, feedback, positive) for target in targets]


def outcomes(labels: Sequence[Labels], state: str | None) -> FeedbackCounts:
    """Returns what became of the labels."""
    found = counts.total({"outcomes": each.outcomes} for each in labels if each.outcomes).get("outcomes", {})
    known = cast("Literal['Off', 'Ready', 'KeyMissing'] | None", state if state in _STATES else None)
    return FeedbackCounts(
        state=known,
        counted=found.get("Counted", 0),
        duplicate=found.get("Duplicate", 0),
        forged=found.get("Forged", 0),
        expired=found.get("Expired", 0),
        unknown_label=found.get("UnknownLabel", 0),
    )


def _measured(target: ScoreTarget, feedback: counts.Counts, positive: int | None) -> MeasuredScore:
    try:
        found = checks.score(target.name, feedback, positive) if feedback else None
    except (ValueError, ArithmeticError, LookupError):
        # The pods say what they like: the rest of the service is planned whatever that is.
        found = None
    least = MIN_LABELS if target.min_labels is None else target.min_labels
    result, _ = checks.verdict(found, target.min, target.max, least)
    numbers: dict[str, Any] = {"samples": feedback.get("labels", 0)}
    if found is not None:
        numbers = {"samples": found.samples}
        numbers |= {name: _rounded(getattr(found, name)) for name in ("value", "low", "high")}
    return MeasuredScore(name=target.name, min=target.min, max=target.max, verdict=result, **numbers)


def _rounded(value: float) -> float:
    """To five significant digits: the status needs no more."""
    return float(f"{value:.5g}")
