"""Asks the pods of stable revisions what they have counted of their requests, where `spec.monitoring` wants to know.

`inferenceservice.monitoring` decides which pods are asked, reads their answers, and adds them up.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import floor
from typing import Any
from zlib import crc32

import aiohttp

from modelwright.common.facts import MONITOR_REPORTS
from modelwright.common.indexes import SERVICES_MONITORED, YES
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.engine.cache import View
from modelwright.engine.objects import Key
from modelwright.inferenceservice.manifests.names import ADMIN_PORT
from modelwright.inferenceservice.monitoring.reports import (
    MOST_BYTES,
    NO_PROFILE,
    SILENT,
    TOO_OLD,
    Reference,
    Report,
    Reports,
    read_report,
)
from modelwright.inferenceservice.monitoring.targets import MonitorTargets, Pod, interval, monitor_targets
from modelwright.sampling import http
from modelwright.sampling.loop import Answers, Limits, NoAnswer, Source, Unanswered

MOST_PROFILE_BYTES = 1024 * 1024
# Profiles that are held, over all services, and the bytes that they came in.
MOST_PROFILES, MOST_HELD = 2000, 64 * 1024 * 1024
# Pods that came or went are noticed within so many seconds.
LONGEST_PAUSE = 10.0
# A window is judged at the earliest so many seconds after its end, and the part of its length.
GRACE, GRACE_SHARE = 2.0, 0.1
# Questions a second, to all pods: about a seventh of a core.
MOST_QUESTIONS = 150.0
# Pods are asked so much of an interval earlier at most.
SPREAD = 0.1
# A pod is silent after so many seconds without an answer.
SILENT_AFTER = 10.0
# The processes of which the last report is held, of a service and of one pod.
MOST_PROCESSES, MOST_OF_POD = 2000, 16
TOO_OFTEN = "its counts begin again too often"
HTTP_NOT_FOUND, HTTP_CONFLICT = 404, 409


@dataclass(frozen=True)
class Answer:
    """What a pod says. No report: its server is of a release that does not count."""

    report: Report | None
    reference: Reference | None = None


class MonitorReports(Source[MonitorTargets, Pod, Answer]):
    """The source of MONITOR_REPORTS: what the pods of stable revisions have counted."""

    fact = MONITOR_REPORTS
    resource = INFERENCE_SERVICES
    limits = Limits(every=1.0, timeout=5.0, per_object=8, in_all=16)

    def __init__(self, session: aiohttp.ClientSession, port: int = ADMIN_PORT) -> None:
        self._session = session
        self._port = port
        # By the digest, with the bytes that it came in. None: it cannot be read.
        self._profiles: OrderedDict[str, tuple[Reference | None, int]] = OrderedDict()
        self._held = 0
        # How many pods of each service are asked, and of all.
        self._pods_of: dict[Key, int] = {}
        self._pods = 0

    def candidates(self, view: View) -> Iterable[Key]:
        """Services whose drift or feedback is watched."""
        return view.indexed_keys(SERVICES_MONITORED, YES)

    def round(self, view: View, key: Key, now: datetime) -> MonitorTargets | None:
        """The pods to ask; None if nothing of the service is watched."""
        current = monitor_targets(view, key)
        self._pods += (0 if current is None else len(current.targets)) - self._pods_of.pop(key, 0)
        if current is not None:
            self._pods_of[key] = len(current.targets)
        return current

    def pause(self, current: MonitorTargets) -> float:
        """As long as a question, but not so long that a pod that comes or goes is noticed late."""
        return min(self._interval(current.window_seconds), LONGEST_PAUSE)

    def every(self, target: Pod) -> float:
        """The seconds between two questions to a pod: a little less for one than for another, so that they are not all
        asked at once."""
        return self._interval(target.window_seconds) * (1 - SPREAD * crc32(target.uid.encode()) / 2**32)

    def _interval(self, window_seconds: int) -> float:
        """As long as the windows ask for, but longer where there are so many pods that the operator could not do
        anything else."""
        return max(interval(window_seconds), self._pods / MOST_QUESTIONS)

    async def ask(self, current: MonitorTargets, target: Pod, at: datetime) -> Answer:
        """Asks a pod for its counts, and for its profile if that is not known yet."""
        content = await self._get(target, f"/monitor?window={target.window_seconds}", MOST_BYTES)
        if content is None:
            return Answer(None)
        try:
            document = json.loads(content)
            report = read_report(document, target.uid)
        except (ValueError, RecursionError) as error:
            raise NoAnswer(f"its counts cannot be believed: {_phrase(error)}") from error
        if report.window_seconds != target.window_seconds:
            raise NoAnswer("its counts cannot be believed: they are of windows of another length")
        reference = await self._reference(target, report.profile) if report.profile else None
        if reference is not None and not _fits(document, reference):
            raise NoAnswer("its counts cannot be believed: they do not fit its profile")
        return Answer(report, reference)

    def answers(self, current: MonitorTargets) -> Answers[MonitorTargets, Pod, Answer]:
        """No reports yet."""
        return MonitorAnswers(lambda: self._interval(current.window_seconds))

    async def _reference(self, target: Pod, digest: str) -> Reference | None:
        """The profile with this digest; None if the pod's cannot be read."""
        if digest in self._profiles:
            self._profiles.move_to_end(digest)
            return self._profiles[digest][0]
        content = await self._get(target, "/monitor/profile", MOST_PROFILE_BYTES)
        if content is None or f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise NoAnswer("its profile is not the one that it counts by")
        try:
            reference = Reference.read(json.loads(content))
        except (ValueError, RecursionError):
            reference = None
        before = self._profiles.get(digest)
        self._held += len(content) - (0 if before is None else before[1])
        self._profiles[digest] = reference, len(content)
        while len(self._profiles) > MOST_PROFILES or self._held > MOST_HELD:
            self._held -= self._profiles.popitem(last=False)[1][1]
        return reference

    async def _get(self, target: Pod, path: str, most: int) -> bytes | None:
        """The body of an answer; None if the server does not know the path. Raises NoAnswer if there is none."""
        status, content = await http.from_pod(self._session, target.address, self._port, path, most)
        if status == HTTP_NOT_FOUND:
            return None
        if status == HTTP_CONFLICT:
            raise NoAnswer("it counts in windows of another length, until no one asks for these")
        if status != 200:
            raise NoAnswer(f"it answers with HTTP status {status}")
        return content


class MonitorAnswers:
    """The reports of the processes of one revision, renewed as a fact only when something follows from them: a window
    is over, a process with counts has ended, or the pods have become silent or speak again."""

    def __init__(self, interval: Callable[[], float]) -> None:
        self._interval = interval
        self._began: float | None = None
        self._reports: dict[str, Report] = {}
        # The process that each pod has reported last.
        self._process: dict[str, str] = {}
        self._too_old: set[str] = set()
        self._silent: dict[str, tuple[float, str]] = {}
        self._profiles: dict[str, Reference | None] = {}
        self._last: Reports | None = None
        self._news: object = None

    def add(self, target: Pod, answer: Answer | Unanswered, at: datetime) -> None:
        """Keeps the report of a process, or notes that its pod did not answer."""
        if isinstance(answer, Unanswered):
            # The cause that its silence began with: one that changes with each question would change the condition.
            self._silent.setdefault(target.uid, (at.timestamp(), answer.why))
            return
        if answer.report is None:
            self._silent.pop(target.uid, None)
            self._too_old.add(target.uid)
            return
        self._too_old.discard(target.uid)
        report = answer.report
        if self._begins_too_often(report):
            self._silent.setdefault(target.uid, (at.timestamp(), TOO_OFTEN))
            return
        self._silent.pop(target.uid, None)
        known = self._reports.get(report.process)
        if known is None or known.now <= report.now:
            self._reports[report.process] = report
            self._process[target.uid] = report.process
        if report.profile is not None:
            self._profiles[report.profile] = answer.reference

    def fact(self, current: MonitorTargets, at: datetime) -> Reports:
        """What is known, or what was known when something last followed from it."""
        now = at.timestamp()
        if self._began is None:
            self._began = now
        self._forget_pods(current)
        ended = self._ended(current)
        closable = self._closable(current, now)
        self._forget_processes(ended, closable)
        self._forget_profiles()
        ended &= self._reports.keys()
        digest = self._profile_digest(current)
        feedback = self._feedback(current)
        trouble = self._trouble(current, now)
        counting = frozenset(process for process in ended if self._reports[process].ids)
        news = (closable, counting, digest, trouble, feedback)
        if self._last is None or news != self._news:
            self._news = news
            self._last = Reports(
                current.revision,
                current.window_seconds,
                tuple(self._reports[process] for process in sorted(self._reports)),
                ended,
                closable,
                digest,
                self._profiles.get(digest or ""),
                trouble,
                feedback,
            )
        return self._last

    def _begins_too_often(self, report: Report) -> bool:
        """True if more processes of one pod would be held than a pod can have had in the windows that matter. Those of
        which all windows were judged make room."""
        of_pod = [process for process, held in self._reports.items() if held.pod == report.pod]
        if report.process in of_pod:
            return False
        judged = -1 if self._last is None else self._last.closable
        for process in of_pod:
            if all(key < judged for key in self._reports[process].ids):
                self._drop(process)
        held = sum(process in self._reports for process in of_pod)
        return held >= MOST_OF_POD or len(self._reports) >= MOST_PROCESSES

    def _forget_pods(self, current: MonitorTargets) -> None:
        for gone in [pod for pod in self._silent if pod not in current.pods]:
            del self._silent[gone]
        self._too_old &= current.pods

    def _ended(self, current: MonitorTargets) -> frozenset[str]:
        """The processes of which nothing more comes, and whose last word is known if they had one."""
        return frozenset(
            process
            for process, report in self._reports.items()
            if report.pod not in current.pods or current.ended_at.get(report.pod, -1.0) >= report.started
        )

    def _forget_processes(self, ended: frozenset[str], closable: int) -> None:
        """Forgets processes that ended or that another one has followed, if their windows were all judged a while ago,
        and the oldest beyond the bound."""
        followed = {
            process for process, held in self._reports.items() if self._process.get(held.pod) != process
        }
        for process in ended | followed:
            if all(key < closable - 1 for key in self._reports[process].ids):
                self._drop(process)
        surplus = len(self._reports) - MOST_PROCESSES
        for process in sorted(ended & set(self._reports), key=lambda each: self._reports[each].now)[
            : max(0, surplus)
        ]:
            self._drop(process)

    def _forget_profiles(self) -> None:
        """Forgets the profiles that no report is counted by."""
        counted_by = {report.profile for report in self._reports.values()}
        for digest in [digest for digest in self._profiles if digest not in counted_by]:
            del self._profiles[digest]

    def _drop(self, process: str) -> None:
        pod = self._reports.pop(process).pod
        if self._process.get(pod) == process:
            del self._process[pod]

    def _closable(self, current: MonitorTargets, now: float) -> int:
        """The last window that is over, and that no pod has more to say about; -1 while none is known to be."""
        began = now if self._began is None else self._began
        grace = min(GRACE, current.window_seconds * GRACE_SHARE)
        newest = floor((now - grace) / current.window_seconds) - 1
        # Not beyond the newest one: the clock may have been set back.
        before = -1 if self._last is None else min(self._last.closable, newest)
        for candidate in (newest, newest - 1):
            end = (candidate + 1) * current.window_seconds
            if self._all_asked(current, end) or now >= max(end, began) + 2 * self._interval() + grace:
                return max(candidate, before)
        return before

    def _all_asked(self, current: MonitorTargets, end: float) -> bool:
        """True if each pod that is Ready has reported since a window ended, and the profile is known."""
        live = {pod: self._reports.get(self._process.get(pod, "")) for pod in current.ready}
        return all(
            pod in self._too_old or (report is not None and report.now >= end) for pod, report in live.items()
        )

    def _live(self, current: MonitorTargets) -> list[Report]:
        processes = (self._process.get(target.uid) for target in current.targets)
        return [self._reports[process] for process in processes if process in self._reports]

    def _profile_digest(self, current: MonitorTargets) -> str | None:
        """The profile of the live pods; of several, that of the newest report. Without any, of what is left."""
        reports = [report for report in self._live(current) or self._reports.values() if report.profile]
        return max(reports, key=lambda each: each.now).profile if reports else None

    def _feedback(self, current: MonitorTargets) -> str | None:
        states = {report.feedback for report in self._live(current)}
        return next((state for state in ("KeyMissing", "Ready", "Off") if state in states), None)

    def _trouble(self, current: MonitorTargets, now: float) -> tuple[str, str] | None:
        """Why no pod says anything that can be compared; None if one does, or if it is too early to say."""
        if not current.ready:
            return None
        if current.ready <= self._too_old:
            return TOO_OLD, "the server of this revision does not count its requests"
        least = max(SILENT_AFTER, 2 * self._interval())
        silent = {
            pod: why
            for pod, (since, why) in self._silent.items()
            if pod in current.ready and now - since >= least
        }
        if current.ready <= set(silent):
            return SILENT, min(silent.values())
        reports = self._live(current)
        if reports and all(
            report.profile is None or self._profiles.get(report.profile) is None for report in reports
        ):
            return min(report.reason or NO_PROFILE for report in reports), ""
        return None


def _fits(document: Mapping[str, Any], reference: Reference) -> bool:
    """True if the counts of the features in an answer have the sizes of the profile."""
    sizes = reference.shape
    counted = (window.get("features") for window in document["windows"])
    return all(not features or [len(feature) for feature in features] == sizes for features in counted)


def _phrase(error: BaseException) -> str:
    return "it is no JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else str(error)
