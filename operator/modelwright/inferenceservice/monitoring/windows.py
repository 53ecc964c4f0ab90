"""Adds the reports of all processes up, and judges each window once. Pure.

A window is the sum of what each process counted in it: of one that runs by its last report, of one that ended by its
last word, and of one that is gone by what is kept. A process is in exactly one of these, so the sum is the same however
often the operator was restarted in between. What is missing is what a process counted after its last report, if it
ended without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from modelwright.api.monitoring import MOST_COUNTED
from modelwright.inferenceservice.monitoring import counts
from modelwright.inferenceservice.monitoring.counts import Counts
from modelwright.inferenceservice.monitoring.kept import (
    MOST_PROCESSES,
    MOST_WINDOWS,
    JudgedWindow,
    Kept,
    Labels,
    Streak,
    mark,
)
from modelwright.inferenceservice.monitoring.reports import Report, Reports

# The parts that fit one profile only.
_FITTED = ("features", "projections", "predictions")


class Judge(Protocol):
    """Judges the counts of a window that began at `start`, in seconds since 1970."""

    @property
    def consecutive(self) -> int:
        """How many windows in a row it takes."""
        ...

    @property
    def positive(self) -> int | None:
        """The index of the positive class; None if it is not known."""
        ...

    def __call__(self, start: int, window: Counts) -> JudgedWindow: ...


@dataclass(frozen=True)
class Evidence:
    """The reports about the stable revision."""

    reports: Reports
    # The last words of processes that have ended, by the process.
    last_words: Mapping[str, Report]

    def processes(self) -> Iterator[_Process]:
        """Yields all processes that something is known of."""
        earlier = {report.process: report for report in self.reports.reports}
        for process in sorted({*earlier, *self.last_words}):
            last, before = self.last_words.get(process), earlier.get(process)
            if last is not None and before is not None and not _same_subject(last, before):
                last = None
            found = last or before
            if found is not None and found.window_seconds == self.reports.window_seconds:
                # A last word alone may still be followed by the report that was asked for last.
                over = process in self.reports.ended or before is None
                yield _Process(mark(process), last, before, over, self.reports.profile_digest)


@dataclass(frozen=True)
class _Process:
    mark: str
    last_word: Report | None
    report: Report | None
    # Nothing more will come of it.
    over: bool
    profile: str | None

    @property
    def ids(self) -> set[int]:
        """The windows that it has counts of."""
        return {key for report in (self.last_word, self.report) if report is not None for key in report.ids}

    def windows(self) -> Mapping[int, Counts]:
        """Its counts. Those of another profile are left out, as their cells are others."""
        found = self.last_word.after(self.report) if self.last_word is not None else {}
        if self.last_word is None and self.report is not None:
            found = self.report.windows()
        source = self.last_word or self.report
        if source is None or source.profile == self.profile:
            return found
        return {
            key: {name: part for name, part in window.items() if name not in _FITTED}
            for key, window in found.items()
        }


def advance(kept: Kept, evidence: Evidence, judge: Judge) -> Kept:
    """Returns what is kept after the windows that are over were judged and the processes that ended were taken over.

    It is equal to `kept` if there was neither.
    """
    known = list(evidence.processes())
    fresh = [process for process in known if process.mark not in kept.absorbed]
    over = sorted(
        key
        for key in {*kept.open, *(key for process in fresh for key in process.ids)}
        if kept.closed < key <= evidence.reports.closable
    )
    if over:
        kept = _closed(kept, fresh, over, judge)
    ending = [process for process in fresh if process.over and any(key > kept.closed for key in process.ids)]
    if ending:
        kept = _absorbed(kept, ending, {process.mark for process in known})
    return kept


def _closed(kept: Kept, processes: Iterable[_Process], over: Iterable[int], judge: Judge) -> Kept:
    """Judges these windows, the oldest first."""
    contributions = [process.windows() for process in processes]
    for key in over:
        parts = (found[key] for found in (kept.open, *contributions) if key in found)
        window, start = counts.total(parts), key * kept.window_seconds
        if not counts.is_empty(window):
            kept = _recorded(kept, window, start, judge)
        kept = replace(kept, closed=key)
    return replace(kept, open={key: found for key, found in kept.open.items() if key > kept.closed})


def _recorded(kept: Kept, window: Counts, start: int, judge: Judge) -> Kept:
    """With the result of a window, and its labels. A window without rows has labels alone."""
    judged = judge(start, window)
    positive = kept.positive if judge.positive is None else judge.positive
    kept = replace(kept, labels=_labels(kept, window, start), positive=positive)
    if not judged.rows:
        return kept
    windows = (judged, *kept.windows)[:MOST_WINDOWS]
    if judged.verdict is None:  # Drift is not watched any more: what it was says nothing about later windows.
        return replace(kept, windows=windows, streak=None, drifted=None)
    streak = _streak(kept.streak, judged)
    drifted = kept.drifted if streak is kept.streak else _drifted(kept.drifted, streak, judge.consecutive)
    return replace(kept, windows=windows, streak=streak, drifted=drifted)


def _streak(before: Streak | None, judged: JudgedWindow) -> Streak | None:
    """The windows with the same verdict as this one. One that is inconclusive neither counts nor ends them."""
    if judged.verdict == "Inconclusive":
        return before
    if before is None or before.verdict != judged.verdict:
        return Streak(verdict=judged.verdict, windows=1, rows=judged.rows, since=judged.start)
    rows = min(before.rows + judged.rows, MOST_COUNTED)
    return before.model_copy(update={"windows": before.windows + 1, "rows": rows})


def _drifted(before: bool | None, streak: Streak | None, consecutive: int) -> bool | None:
    """Whether there is drift. It takes as many windows to begin as to end; the first one without drift says so."""
    if streak is None:
        return before
    enough = streak.windows >= consecutive
    if streak.verdict == "Drifted":
        return True if enough else before
    return before if before and not enough else False


def _labels(kept: Kept, window: Counts, start: int) -> tuple[Labels, ...]:
    """The labels of the newest windows that are kept, with those of this one."""
    scores = (window.get("feedback") or {}).get(short_digest(kept.digest)) or {}
    outcomes = window.get("outcomes") or {}
    end = start + kept.window_seconds
    oldest = end - MOST_WINDOWS * kept.window_seconds
    stay = tuple(each for each in kept.labels if each.end > oldest)
    if not scores and not any(outcomes.values()):
        return stay
    return (Labels(start, end, scores, outcomes), *stay)[:MOST_WINDOWS]


def short_digest(digest: str) -> str:
    """Returns the name of a model in the feedback of a window: the first 8 digits of its digest."""
    return digest.removeprefix("sha256:")[:8]


def _absorbed(kept: Kept, ending: Iterable[_Process], visible: set[str]) -> Kept:
    """Takes over what these processes have counted in windows that are not judged yet."""
    held = [each for each in kept.absorbed if each in visible]
    opened = dict(kept.open)
    for process in ending:
        if len(held) >= MOST_PROCESSES:
            break
        for key, found in process.windows().items():
            if key > kept.closed:
                opened[key] = counts.add(opened.get(key, {}), found)
        held.append(process.mark)
    return replace(kept, open=opened, absorbed=tuple(sorted(held)))


def _same_subject(one: Report, other: Report) -> bool:
    return (one.digest, one.window_seconds) == (other.digest, other.window_seconds)
