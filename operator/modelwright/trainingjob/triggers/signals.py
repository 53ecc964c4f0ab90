"""What calls for a run now, with the evidence, and what keeps a trigger from working. Pure.

Drift and scores are read from the status of an InferenceService, whose own limits decide what counts as drift.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from modelwright.api.monitoring import MonitoringStatus
from modelwright.api.triggers import Evidence, HandledSignal, OnDrift, OnScore, Probe, Trigger
from modelwright.common.conditions import true_condition
from modelwright.common.indexes import stable_version
from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Body, status_of

# Of several signals, the first one is the cause.
ORDER: tuple[Trigger, ...] = ("Manual", "Schedule", "DataChange", "Drift", "Score", "SpecChange")


@dataclass(frozen=True)
class Signal:
    """Something that calls for a run.

    `lasts`: it calls until a run starts or its cause is gone; else for this moment only. `force`: a run is wanted also
    with the data of the last one. `message`: what was found, as a clause. `hold`: why it has to wait, whatever the
    brakes say, as a reason and a clause.
    """

    trigger: Trigger
    evidence: Evidence
    message: str
    lasts: bool = False
    force: bool = False
    hold: tuple[str, str] | None = None


@dataclass(frozen=True)
class Trouble:
    """Why a trigger cannot work as the spec has it. The condition TriggersActive shows it."""

    reason: str
    message: str


@dataclass(frozen=True)
class Watched:
    """A service that a trigger names. `version`: the ModelVersion that its numbers are about, if it is there."""

    name: str
    body: Body | None
    version: Body | None


def monitoring_of(service: Body) -> MonitoringStatus | None:
    """Returns what the last window of a service shows; None if there is none, or another release wrote it."""
    try:
        return MonitoringStatus.model_validate(status_of(service).get("monitoring"))
    except ValidationError:
        return None


def by_schedule(time: datetime) -> Signal:
    """Returns the signal of a time of the schedule."""
    return Signal("Schedule", Evidence(schedule_time=to_timestamp(time)), "its time has come by the schedule")


def by_data(probe: Probe | None, known: str | None) -> Signal | None:
    """Returns the signal if a look has found other data. `known`: the marker of the data that runs know of."""
    if probe is None or probe.marker is None or known is None or probe.marker == known:
        return None
    return Signal("DataChange", Evidence(marker=probe.marker), "the data has changed", lasts=True)


def by_drift(
    watched: Watched, spec: OnDrift, model: str, handled: Collection[HandledSignal]
) -> Signal | Trouble | None:
    """Returns the signal of a service that drifts; None while it does not."""
    found = _measured(watched, model, "drift")
    if not isinstance(found, MonitoringStatus):
        return found
    enough = found.in_a_row >= (spec.consecutive or 1) and found.rows_in_a_row >= (spec.min_new_samples or 0)
    if found.verdict != "Drifted" or not enough or not _holds(watched, "DriftDetected"):
        return None
    worst = next(iter(found.worst or ()), None)
    numbers: dict[str, Any] = {}
    message = f"InferenceService {watched.name} drifts"
    if worst is not None:
        numbers = worst.model_dump(include={"feature", "statistic", "value", "threshold"})
        message += (
            f": {worst.statistic} of {worst.feature} is {worst.value:.3g}, the limit is {worst.threshold:.3g}"
        )
    return _signal("Drift", watched, found, handled, numbers, message, bool(spec.force))


def by_score(
    watched: Watched, spec: OnScore, model: str, handled: Collection[HandledSignal]
) -> Signal | Trouble | None:
    """Returns the signal of a service whose score is beyond its limit; None while none is."""
    found = _measured(watched, model, "feedback")
    if not isinstance(found, MonitoringStatus):
        return found
    failing = (score for score in found.scores or () if score.verdict == "Fail" and score.value is not None)
    score = next(failing, None)
    if score is None or score.value is None or not _holds(watched, "ScoreBelowTarget"):
        return None
    # The one that the score is beyond: it has at least one of them.
    limit = (
        score.max if score.min is None or (score.max is not None and score.value > score.max) else score.min
    )
    numbers = {"metric": score.name, "value": score.value, "threshold": limit}
    said = "" if limit is None else f", the limit is {limit:.3g}"
    message = f"{score.name} of InferenceService {watched.name} is {score.value:.3g}{said}"
    return _signal("Score", watched, found, handled, numbers, message, bool(spec.force))


def _measured(
    watched: Watched, model: str, part: Literal["drift", "feedback"]
) -> MonitoringStatus | Trouble | None:
    """What the last window of the service's stable version shows; None if there is none yet."""
    service = watched.body
    if service is None:
        return Trouble(
            "ServiceNotFound", f"there is no InferenceService {watched.name}: create it, or name another"
        )
    if (service["spec"].get("monitoring") or {}).get(part) is None:
        message = f"InferenceService {watched.name} does not watch this: set its spec.monitoring.{part}"
        return Trouble("NotMonitored", message)
    found = monitoring_of(service)
    if found is None or found.version != stable_version(service) or watched.version is None:
        return None
    if watched.version["spec"].get("model") != model:
        message = (
            f"InferenceService {watched.name} serves no version of the model {model}: name one that does"
        )
        return Trouble("OtherModel", message)
    return found


def _signal(
    trigger: Literal["Drift", "Score"],
    watched: Watched,
    found: MonitoringStatus,
    handled: Collection[HandledSignal],
    numbers: Mapping[str, Any],
    message: str,
    force: bool,
) -> Signal | None:
    """The signal of a window; None if that has been the cause of a run before."""
    # Labels come when there are hardly rows as well: then the window that was judged for drift stays the same.
    labels_start = found.labels_start if trigger == "Score" else None
    about = labels_start or found.window_start
    if about is None:
        return None
    this = HandledSignal(trigger=trigger, service=watched.name, window_start=about)
    if this in handled:
        return None
    evidence = Evidence(service=watched.name, version=found.version, window_start=about, **numbers)
    return Signal(trigger, evidence, message, lasts=True, force=force, hold=_rollout(watched))


def handled_by(evidence: Evidence, trigger: Trigger) -> HandledSignal | None:
    """Returns the window that a signal was about; None of other triggers."""
    if trigger not in ("Drift", "Score") or evidence.service is None or evidence.window_start is None:
        return None
    return HandledSignal(trigger=trigger, service=evidence.service, window_start=evidence.window_start)


def _holds(watched: Watched, condition: str) -> bool:
    return watched.body is not None and true_condition(watched.body, condition) is not None


def _rollout(watched: Watched) -> tuple[str, str] | None:
    """Why a signal of a service has to wait: another version may end it."""
    canary = status_of(watched.body or {}).get("canary") or {}
    if not canary or canary.get("state") == "Failed":
        return None
    return ("RolloutUnderWay", f"InferenceService {watched.name} rolls out {canary.get('version')}")
