"""The windows of a service as they stand: what is kept of them, what has to be kept next, and the status. Pure.

The status follows from what is kept as it was written, and never the other way round. So a window is in the status only
once it is kept, and an operator that was killed in between repeats nothing and forgets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from modelwright.api.inferenceservice import StableRevision
from modelwright.api.monitoring import (
    CONSECUTIVE,
    WINDOW_SECONDS,
    Estimated,
    FeedbackCounts,
    MeasuredScore,
    Monitoring,
    MonitoringStatus,
)
from modelwright.common.resources import REVISION
from modelwright.common.times import from_timestamp, to_timestamp_of
from modelwright.engine.objects import labels
from modelwright.inferenceservice.manifests.names import MONITOR_FILE, monitor_name
from modelwright.inferenceservice.monitoring import kept as keeping
from modelwright.inferenceservice.monitoring import scoring
from modelwright.inferenceservice.monitoring.judging import WindowJudge, demands
from modelwright.inferenceservice.monitoring.kept import JudgedWindow, Kept
from modelwright.inferenceservice.monitoring.last_words import words_of
from modelwright.inferenceservice.monitoring.reports import Report, Reports
from modelwright.inferenceservice.monitoring.windows import Evidence, advance
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions


@dataclass(frozen=True)
class Watch:
    """What is watched of a service, and of which revision."""

    observed: Observed
    monitoring: Monitoring
    stable: StableRevision
    now: datetime

    @property
    def consecutive(self) -> int:
        """How many windows in a row it takes."""
        asked = self.monitoring.drift
        return CONSECUTIVE if asked is None or asked.consecutive is None else asked.consecutive

    @property
    def window_seconds(self) -> int:
        """The length of a window."""
        asked = self.monitoring.drift
        return WINDOW_SECONDS if asked is None or asked.window_seconds is None else asked.window_seconds

    @cached_property
    def kept(self) -> Kept:
        """What is kept of the windows of the revision. Labels of the same model are kept from revision to revision, and
        the windows that they came in are over."""
        digest = self.stable.artifact.digest
        written = self._written
        # What was measured in the future was so by a wrong clock, or not at all: no later window would be judged.
        if written is None or written.latest > self.now.timestamp() + written.window_seconds:
            return Kept(self.stable.revision, digest, self.window_seconds)
        if (written.revision, written.window_seconds) == (self.stable.revision, self.window_seconds):
            return written
        labels = written.labels if written.digest == digest else ()
        closed = max((each.end for each in labels), default=0) // self.window_seconds - 1
        return Kept(self.stable.revision, digest, self.window_seconds, closed, labels=labels)

    @cached_property
    def _written(self) -> Kept | None:
        config = self.observed.config(monitor_name(self.observed))
        return None if config is None else keeping.read((config.get("data") or {}).get(MONITOR_FILE))

    @cached_property
    def reports(self) -> Reports | None:
        """What the pods of the revision say; None if they were not asked yet."""
        found = self.observed.reports
        if found is None:
            return None
        same = (found.revision, found.window_seconds) == (self.stable.revision, self.window_seconds)
        return found if same else None

    @cached_property
    def advanced(self) -> Kept:
        """What has to be kept next; equal to `kept` if nothing has."""
        if self.reports is None:
            return self.kept
        since = 0.0 if self.stable.since is None else from_timestamp(self.stable.since).timestamp()
        judge = WindowJudge(demands(self.monitoring.drift), self.reports.reference, since, self.consecutive)
        return advance(self.kept, Evidence(self.reports, self._last_words()), judge)

    def _last_words(self) -> dict[str, Report]:
        """The last words of processes of the revision: those that were noted, and those that are there to read."""
        digest = self.stable.artifact.digest
        pods = (pod for pod in self.observed.pods if labels(pod).get(REVISION) == self.stable.revision)
        there = words_of(pods)
        found = {report.process: report for report in (*self.observed.last_words.values(), *there)}
        return {process: report for process, report in found.items() if report.digest == digest}

    @cached_property
    def shown(self) -> JudgedWindow | None:
        """The last window that was judged; while none was, the last one with traffic."""
        windows = self.kept.windows
        judged = (window for window in windows if window.verdict not in (None, "Inconclusive"))
        return next(judged, windows[0] if windows else None)

    @cached_property
    def scores(self) -> list[MeasuredScore]:
        """The scores that the spec asks for, by the labels that are kept."""
        asked = self.monitoring.feedback
        if asked is None or not asked.metrics:
            return []
        return scoring.scores(asked.metrics, self.kept.labels, self.kept.positive)

    def status(self) -> MonitoringStatus | None:
        """What `status.monitoring` says; None as long as there is nothing to say."""
        window, labels, kept = self.shown, self.kept.labels, self.kept
        if window is None and not labels:
            return None
        feedback = self._feedback()
        said = MonitoringStatus(
            version=self.stable.version,
            labels_start=to_timestamp_of(max(0, labels[0].end - kept.window_seconds)) if labels else None,
            window_seconds=kept.window_seconds,
            scores=self.scores or None,
            feedback=feedback,
        )
        if window is None:
            return said
        streak = kept.streak if kept.streak is not None and kept.streak.verdict == window.verdict else None
        accuracy = window.estimated_accuracy
        return said.model_copy(
            update={
                "window_start": to_timestamp_of(window.start),
                "rows": window.rows,
                "requests": window.requests,
                "verdict": window.verdict,
                "reason": window.reason,
                "in_a_row": 0 if streak is None else streak.windows,
                "rows_in_a_row": 0 if streak is None else streak.rows,
                "since": None if streak is None else to_timestamp_of(streak.since),
                "worst": window.worst or None,
                "estimated": None if accuracy is None else Estimated(accuracy=round(accuracy, 4)),
            }
        )

    def _feedback(self) -> FeedbackCounts | None:
        """What became of the labels. The state is the last one that is known."""
        if self.monitoring.feedback is None:
            return None
        before = self.observed.status.monitoring
        state: str | None = None if before is None or before.feedback is None else before.feedback.state
        if self.reports is not None and self.reports.feedback is not None:
            state = self.reports.feedback
        return scoring.outcomes(self.kept.labels, state)


def watch(observed: Observed, revisions: Revisions, now: datetime) -> Watch | None:
    """Returns what is watched of a service; None if nothing is, or no revision has the traffic."""
    monitoring, stable = observed.spec.monitoring, revisions.stable
    if monitoring is None or stable is None or (monitoring.drift is None and monitoring.feedback is None):
        return None
    return Watch(observed, monitoring, stable, now)
