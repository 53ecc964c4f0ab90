"""Random histories of pods and of the operator: what is judged is what was counted, but for wordless ends."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.engine.objects import Key
from modelwright.inferenceservice.monitoring import kept as keeping
from modelwright.inferenceservice.monitoring.counts import Counts
from modelwright.inferenceservice.monitoring.kept import JudgedWindow, Kept
from modelwright.inferenceservice.monitoring.reports import Report, Reports, read_report
from modelwright.inferenceservice.monitoring.targets import MonitorTargets, Pod
from modelwright.inferenceservice.monitoring.windows import Evidence, advance
from modelwright.sampling.loop import Unanswered
from modelwright.sampling.monitor import Answer, MonitorAnswers

WINDOW = 10
DIGEST = "sha256:" + "a" * 64
START = 1_764_331_200
SECONDS = 12 * WINDOW


@dataclass(frozen=True)
class Chances:
    """What happens in a history."""

    # Of processes that end: so many do so without a word, and in so many cases the pod goes as well.
    wordless: float = 0.0
    gone: float = 0.0
    # A second: that the operator is killed, that it is killed between a decision and its write, and that a pod is late.
    killed: float = 0.0
    killed_in_mid: float = 0.0
    late: float = 0.0
    # How often in a row a pod is late at most.
    most_late: int = 1


@dataclass
class Process:
    """One life of a server's container."""

    pod: str
    started: float
    counted: Counter[int] = field(default_factory=Counter)
    missed: int = 0

    def document(self, now: float) -> dict[str, Any]:
        last = sorted(self.counted)[-3:]
        windows = [{"id": key, "requests": 1, "rows": self.counted[key], "counted": 0} for key in last]
        said = {"started": self.started, "digest": DIGEST, "profile": None, "reason": "NoProfile"}
        return {**said, "window": WINDOW, "now": now, "windows": windows, "feedback": "Off"}


class Judge:
    """Writes down how many rows each window has."""

    consecutive, positive = 2, None

    def __call__(self, start: int, window: Counts) -> JudgedWindow:
        return JudgedWindow(start=start, requests=window["requests"], rows=window["rows"])


class History:
    """Pods that count and end, and an operator that asks them, writes, and is killed at times."""

    def __init__(self, seed: int, chances: Chances) -> None:
        self.random, self.chances = random.Random(seed), chances
        self.now = float(START)
        self.running: dict[str, Process] = {}
        self.past: list[Process] = []
        self.ended_at: dict[str, float] = {}
        # What the status of a pod that is there shows of the process before.
        self.shown: dict[str, Report] = {}
        self.noted: dict[str, Report] = {}
        self.answers: MonitorAnswers | None = None
        self.written = keeping.text(Kept("r", DIGEST, WINDOW))
        self.judged: dict[int, list[int]] = {}
        self.up = True
        self.made = 0

    def goes_on(self) -> None:
        for second in range(SECONDS + 4 * WINDOW):
            self.now = START + second + 0.5
            quiet = second >= SECONDS
            self._pods_live(quiet=quiet)
            self._operator_lives(quiet=quiet)

    def _pods_live(self, *, quiet: bool) -> None:
        for process in list(self.running.values()):
            if not quiet:
                process.counted[int(self.now // WINDOW)] += self.random.choice((0, 0, 1, 7))
                # What a pod shows of two ends is the last one: an operator that was away sees no more.
                if self._happens(0.03) and (self.up or process.pod not in self.shown):
                    self._ends(process)
        if len(self.running) < 3 and not quiet and self.random.random() < 0.5:
            self.made += 1
            self._starts(f"pod-{self.made}")

    def _starts(self, pod: str) -> None:
        self.running[pod] = Process(pod, self.now + self.random.random() / 10)

    def _happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def _ends(self, process: Process) -> None:
        """With a word or without; its container starts again, or the pod goes."""
        del self.running[process.pod]
        self.past.append(process)
        self.shown.pop(process.pod, None)
        stays = not self._happens(self.chances.gone)
        if not self._happens(self.chances.wordless):
            word = read_report(process.document(self.now), process.pod)
            if self.up:
                self.noted[word.process] = word
            if stays:
                self.shown[process.pod] = word
        if stays:
            self.ended_at[process.pod] = float(int(self.now + 1))
            self.running[process.pod] = Process(process.pod, self.ended_at[process.pod] + 0.1)
        else:
            self.ended_at.pop(process.pod, None)

    def _operator_lives(self, *, quiet: bool) -> None:
        if self.up and not quiet and self._happens(self.chances.killed):
            self._is_killed()
        elif not self.up and (quiet or self._happens(0.5)):
            self.up = True
        if not self.up:
            return
        reports = self._asks(quiet=quiet)
        before = keeping.read(self.written)
        assert before is not None
        evidence = Evidence(reports, {**self.noted, **{word.process: word for word in self.shown.values()}})
        after = advance(before, evidence, Judge())
        assert advance(after, evidence, Judge()) == after, "what is done is not done again"
        if not quiet and self._happens(self.chances.killed_in_mid):
            self._is_killed()
        elif after != before:
            self.written = keeping.text(after)
            assert keeping.read(self.written) == after
            for window in after.windows:
                if window not in before.windows:
                    self.judged.setdefault(window.start // WINDOW, []).append(window.rows)

    def _is_killed(self) -> None:
        self.up, self.answers, self.noted = False, None, {}

    def _asks(self, *, quiet: bool) -> Reports:
        targets, at = self._targets(), datetime.fromtimestamp(self.now, UTC)
        self.answers = self.answers or MonitorAnswers(lambda: 1.0)
        for target in targets.targets:
            process = self.running[target.uid]
            late = not quiet and process.missed < self.chances.most_late and self._happens(self.chances.late)
            process.missed = process.missed + 1 if late else 0
            answer = Answer(read_report(process.document(self.now), target.uid))
            self.answers.add(target, Unanswered("it is late") if late else answer, at)
        return self.answers.fact(targets, at)

    def _targets(self) -> MonitorTargets:
        pods = frozenset(self.running)
        targets = tuple(Pod(pod, "127.0.0.1", WINDOW) for pod in sorted(pods))
        about = Key(INFERENCE_SERVICES, "team", "churn")
        return MonitorTargets(about, "uid", "r", WINDOW, targets, pods, pods, dict(self.ended_at))

    def all_counted(self) -> Counter[int]:
        return sum((process.counted for process in (*self.past, *self.running.values())), Counter())


def rows_of(history: History) -> dict[int, int]:
    """How many rows each window was judged with."""
    assert all(len(rows) == 1 for rows in history.judged.values()), "a window is judged once"
    return {key: rows for key, (rows,) in history.judged.items() if rows}


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(
    "chances",
    [
        Chances(late=0.3),
        Chances(gone=0.5, late=0.3),
        Chances(killed=0.05, killed_in_mid=0.05, late=0.3),
    ],
    ids=["restarts of pods", "pods that go", "restarts of the operator"],
)
def test_a_window_is_judged_with_all_that_was_counted_in_it(seed: int, chances: Chances) -> None:
    history = History(seed, chances)
    history.goes_on()

    assert rows_of(history) == {key: rows for key, rows in history.all_counted().items() if rows}


@pytest.mark.parametrize("seed", range(25))
def test_what_ends_without_a_word_may_be_missing_and_nothing_is_counted_twice(seed: int) -> None:
    history = History(
        seed, Chances(wordless=0.5, gone=0.5, killed=0.03, killed_in_mid=0.05, late=0.4, most_late=5)
    )
    history.goes_on()

    counted, judged = history.all_counted(), rows_of(history)
    assert all(rows <= counted[key] for key, rows in judged.items())
    assert sum(judged.values()) > 0.6 * counted.total()
