"""The conditions DriftDetected and ScoreBelowTarget, and the events of their transitions. Pure.

The messages name features and scores without their values: these change with every window, and are in
`status.monitoring`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelwright.common.conditions import Aspect
from modelwright.engine.plan import Event
from modelwright.inferenceservice.manifests.names import ADMIN_PORT
from modelwright.inferenceservice.monitoring.judging import MISMATCH, PARTIAL
from modelwright.inferenceservice.monitoring.reports import NO_PROFILE, SILENT, TOO_OLD, UNUSABLE
from modelwright.inferenceservice.monitoring.state import Watch

DRIFT, SCORE = "DriftDetected", "ScoreBelowTarget"
NO_DRIFT, COLLECTING = "NoDrift", "CollectingSamples"
ON_TARGET, LABELS, KEY_MISSING = "ScoreOnTarget", "CollectingLabels", "KeyMissing"
# What is in the way, by the reason.
TROUBLES = {
    NO_PROFILE: "ModelVersion {version} has no profile.json beside its file, so there is nothing to compare its "
    "requests with: train it again, or put a profile beside it",
    UNUSABLE: "the profile.json of ModelVersion {version} does not fit the model, or cannot be read: train it again",
    TOO_OLD: "the server's image is of a release that does not count requests: roll the service out with this one",
    SILENT: f"no pod can be asked for its counts at port {ADMIN_PORT}: {{why}}; NetworkPolicies have to let the "
    "operator reach that port",
}
UNDECIDED = {
    "FewRequests": "the last window has too few requests to be judged: rows of one request are alike",
    "ReferenceTooSmall": "the hold-out of ModelVersion {version} has too few rows to compare with: train it with more",
    "NothingToCompare": "nothing of the requests can be compared with the hold-out of ModelVersion {version}",
    MISMATCH: "the counts of the pods do not fit the profile of ModelVersion {version}",
    NO_PROFILE: TROUBLES[NO_PROFILE],
}
MOST_NAMES = 3


def aspects(watch: Watch) -> Iterator[Aspect]:
    """Yields the conditions of what is watched."""
    if watch.monitoring.drift is not None:
        yield _drift(watch)
    if watch.monitoring.feedback is not None and watch.monitoring.feedback.metrics:
        yield _score(watch)


def events(watch: Watch | None, written: Mapping[str, Mapping[str, Any]]) -> Iterator[Event]:
    """Yields an event for each condition that becomes True, or False after it was True. `written`: the conditions as
    they were written last, by type."""
    for aspect in () if watch is None else aspects(watch):
        was_true = (written.get(aspect.type) or {}).get("status") == "True"
        if aspect.status and not was_true:
            yield Event("Warning", aspect.reason, aspect.message)
        elif aspect.status is False and was_true:
            yield Event("Normal", aspect.reason, aspect.message)


def _drift(watch: Watch) -> Aspect:
    kept, version = watch.kept, watch.stable.version
    if kept.drifted:
        latest = next((window for window in kept.windows if window.verdict == "Drifted"), None)
        reason = "FeatureDrift" if latest is None or latest.reason is None else latest.reason
        named = [f"{each.feature} ({each.statistic})" for each in _beyond(watch)]
        what = f": {', '.join(named)}" if named else ""
        return Aspect(
            DRIFT, True, reason, f"the requests differ from the hold-out of ModelVersion {version}{what}"
        )
    trouble = _trouble(watch)
    if trouble is not None:
        return trouble
    if kept.drifted is False:
        return Aspect(DRIFT, False, NO_DRIFT, f"the requests are like the hold-out of ModelVersion {version}")
    return _collecting(watch)


def _beyond(watch: Watch) -> list[Any]:
    """What was beyond its limit in the last window with drift, the worst first; each feature once."""
    latest = next((window for window in watch.kept.windows if window.verdict == "Drifted"), None)
    found = {} if latest is None else {
        each.feature: each for each in reversed(latest.worst) if abs(each.value) > each.threshold
    }  # fmt: skip
    return list(reversed(found.values()))[:MOST_NAMES]


def _trouble(watch: Watch) -> Aspect | None:
    """The condition while the pods say nothing that can be compared; None if they do.

    An operator that has just started does not know yet: then it is as it was written."""
    if watch.reports is None:
        written = next((each for each in watch.observed.written_conditions if each.get("type") == DRIFT), {})
        if written.get("status") == "Unknown" and written.get("reason") in TROUBLES:
            return Aspect(DRIFT, None, str(written["reason"]), str(written.get("message")))
        return None
    if watch.reports.trouble is None:
        return None
    reason, why = watch.reports.trouble
    message = TROUBLES.get(reason, TROUBLES[UNUSABLE]).format(version=watch.stable.version, why=why)
    return Aspect(DRIFT, None, reason, message)


def _collecting(watch: Watch) -> Aspect:
    """The condition before the first verdict."""
    kept, version = watch.kept, watch.stable.version
    if kept.streak is not None:
        message = f"a window of requests differs from the hold-out of ModelVersion {version}"
        return Aspect(DRIFT, None, COLLECTING, f"{message}; {watch.consecutive} in a row are drift")
    latest = kept.windows[0] if kept.windows else None
    if latest is not None and latest.reason in UNDECIDED:
        return Aspect(DRIFT, None, latest.reason, UNDECIDED[latest.reason].format(version=version))
    if latest is not None and latest.reason != PARTIAL:
        return Aspect(DRIFT, None, COLLECTING, "the last window of requests has too few rows to be judged")
    return Aspect(
        DRIFT, None, COLLECTING, f"no whole window of requests for ModelVersion {version} is over yet"
    )


def _score(watch: Watch) -> Aspect:
    found = {verdict: [] for verdict in ("Fail", "Pass", "Inconclusive")}  # type: dict[str, list[str]]
    for score in watch.scores:
        found[score.verdict].append(score.name)
    version = watch.stable.version
    if found["Fail"]:
        names = ", ".join(found["Fail"])
        return Aspect(
            SCORE,
            True,
            SCORE,
            f"by the labels of callers ModelVersion {version} is below its target: {names}",
        )
    if _key_missing(watch):
        secret = watch.monitoring.feedback.secret_ref.name if watch.monitoring.feedback is not None else ""
        message = f"the pods have no key for feedback: create the Secret {secret} with the entry `key`"
        return Aspect(SCORE, None, KEY_MISSING, message)
    if found["Pass"]:
        rest = f"; not decided: {', '.join(found['Inconclusive'])}" if found["Inconclusive"] else ""
        message = (
            f"by the labels of callers ModelVersion {version} holds its target: {', '.join(found['Pass'])}"
        )
        return Aspect(SCORE, False, ON_TARGET, message + rest)
    names = ", ".join(found["Inconclusive"])
    return Aspect(SCORE, None, LABELS, f"the labels of callers do not decide yet: {names}")


def _key_missing(watch: Watch) -> bool:
    said = watch.status()
    state = None if said is None or said.feedback is None else said.feedback.state
    live = None if watch.reports is None else watch.reports.feedback
    return (live or state) == KEY_MISSING
