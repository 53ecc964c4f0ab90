"""The verdict on one window, by the profile of the version that serves. Pure; `checks.drift` has the statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.api.monitoring import ALPHA, MIN_SAMPLES, MOST_NAME, Drift, DriftedFeature
from modelwright.checks import drift
from modelwright.checks.monitored import Profile, Window
from modelwright.inferenceservice.monitoring.counts import Counts
from modelwright.inferenceservice.monitoring.kept import JudgedWindow
from modelwright.inferenceservice.monitoring.reports import NO_PROFILE, Reference

# Reasons of windows that are not judged: the revision took over within it, and its cells are those of another profile.
PARTIAL, MISMATCH = "PartialWindow", "ProfileMismatch"


@dataclass(frozen=True)
class WindowJudge:
    """Judges windows of one revision. `demands`: None if drift is not watched."""

    demands: drift.Demands | None
    reference: Reference | None
    # When the revision took over, in seconds since 1970. Its pods may have had other requests before.
    since: float
    consecutive: int

    @property
    def positive(self) -> int | None:
        """The index of the positive class; None if it is not known."""
        return None if self.reference is None else self.reference.positive

    def __call__(self, start: int, window: Counts) -> JudgedWindow:
        """Returns the result for the counts of the window that began then."""
        found: Mapping[str, Any] = {} if self.demands is None else self._verdict(self.demands, start, window)
        return JudgedWindow(
            start=start, requests=window.get("requests", 0), rows=window.get("rows", 0), **found
        )

    def _verdict(self, demands: drift.Demands, start: int, window: Counts) -> Mapping[str, Any]:
        if start < self.since:
            return _undecided(PARTIAL)
        if self.reference is None:
            return _undecided(NO_PROFILE)
        profile = self.reference.profile
        try:
            judgement = drift.judge(profile, Window.read(window, profile), demands)
            return {
                "verdict": judgement.verdict,
                "reason": judgement.reason,
                "worst": [_feature(found) for found in judgement.worst],
                "estimated_accuracy": estimated_accuracy(profile, window),
            }
        except (ValueError, ArithmeticError, LookupError):
            # A pod and its profile say what they like: the rest of the service is planned whatever that is.
            return _undecided(MISMATCH)


def demands(asked: Drift | None) -> drift.Demands | None:
    """Returns what a spec asks of a window, with the defaults; None if it does not watch drift."""
    if asked is None:
        return None
    return drift.Demands(
        MIN_SAMPLES if asked.min_samples is None else asked.min_samples,
        ALPHA if asked.alpha is None else asked.alpha,
        drift.EFFECT if asked.effect is None else asked.effect,
    )


def estimated_accuracy(profile: Profile, window: Counts) -> float | None:
    """Returns the share of right answers if each is as good as those of the hold-out with the same confidence; None
    without probabilities."""
    counted = (window.get("predictions") or {}).get("confidence") or ()
    known = next((each.counts for each in profile.predictions if each.name == "confidence"), ())
    pairs = list(zip(profile.correct, known, strict=False))
    if not sum(counted) or not len(counted) == len(pairs) == len(known) or not sum(known):
        return None
    shares = {index: right / rows for index, (right, rows) in enumerate(pairs) if rows}
    nearest = (min(shares, key=lambda each: abs(each - index)) for index in range(len(pairs)))
    right: float = sum(rows * shares[index] for rows, index in zip(counted, nearest, strict=True))
    return min(1.0, right / int(sum(counted)))


def _undecided(reason: str) -> Mapping[str, Any]:
    return {"verdict": "Inconclusive", "reason": reason}


def _feature(found: drift.Found) -> DriftedFeature:
    return DriftedFeature(
        feature=found.feature[:MOST_NAME],
        statistic=found.statistic,
        value=_rounded(found.value),
        threshold=_rounded(found.threshold),
        cell=found.cell[:MOST_NAME] or None,
        share=min(1.0, _rounded(found.share)),
        expected=min(1.0, _rounded(found.expected)),
    )


def _rounded(value: float) -> float:
    """To five significant digits, and to six decimal places at most: the status needs no more."""
    return round(float(f"{value:.5g}"), 6)
