"""Scrapes the metrics of pods in running rollouts. The operator sends no other requests to pods.

`inferenceservice.analysis` decides which pods are scraped, and interprets their counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import aiohttp

from modelwright.common.facts import POD_COUNTS
from modelwright.common.indexes import SERVICES_MEASURED, YES
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.engine.cache import View
from modelwright.engine.objects import Key
from modelwright.inferenceservice.analysis import kept_counts
from modelwright.inferenceservice.analysis.counts import Silence, StepCounts, has_grown
from modelwright.inferenceservice.analysis.exposition import Scrape, scraped
from modelwright.inferenceservice.analysis.scrape_targets import Pod, ScrapeTargets, scrape_targets
from modelwright.inferenceservice.analysis.tally import Kept, StepTally, step_counts
from modelwright.inferenceservice.manifests.names import ADMIN_PORT
from modelwright.sampling import http
from modelwright.sampling.loop import Answers, Limits, NoAnswer, Source, Unanswered

# Servers of earlier releases ignore the query, and show everything.
TARGET = "/metrics?view=rollout"
MOST_BYTES = 512 * 1024
# A pod is reported as silent only after this time: it may be slow for a moment, or just have become ready.
SILENT_AFTER = timedelta(seconds=10)
# Counts are renewed when one has grown by this share, or when they are this old and anything has changed.
LEAST_GROWTH = 0.01
OLDEST_COUNTS = timedelta(seconds=30)


class PodCounts(Source[ScrapeTargets, Pod, Scrape]):
    """The source of POD_COUNTS: what pods have counted in the current step."""

    fact = POD_COUNTS
    resource = INFERENCE_SERVICES
    limits = Limits(every=2.0, timeout=1.5, per_object=16, in_all=256)

    def __init__(self, session: aiohttp.ClientSession, port: int = ADMIN_PORT) -> None:
        self._session = session
        self._port = port

    def candidates(self, view: View) -> Iterable[Key]:
        """Services with a canary that has a share of the traffic, or with a revision that is baked."""
        return view.indexed_keys(SERVICES_MEASURED, YES)

    def round(self, view: View, key: Key, now: datetime) -> ScrapeTargets | None:
        """The pods to scrape; None if the service has no step that is measured."""
        return scrape_targets(view, key)

    async def ask(self, current: ScrapeTargets, target: Pod, at: datetime) -> Scrape:
        """Scrapes a pod and returns its counts."""
        status, content = await http.from_pod(self._session, target.address, self._port, TARGET, MOST_BYTES)
        if status != 200:
            raise NoAnswer(f"it answers with HTTP status {status}")
        try:
            return scraped(content.decode())
        except ValueError as error:
            raise NoAnswer("its answer holds no metrics that can be believed") from error

    def answers(self, current: ScrapeTargets) -> Answers[ScrapeTargets, Pod, Scrape]:
        """The counts that were kept of the step; none at its start."""
        return NoteworthyAnswers(StepAnswers(current))


class NoteworthyAnswers:
    """The counts of all pods in one step, renewed only when some have grown enough for another verdict.

    Otherwise every service with a canary would be planned every two seconds, however little a few requests say beside
    those before. The checks hold at any choice of looks, so fewer of them are as valid.
    """

    def __init__(self, exact: StepAnswers) -> None:
        self._exact = exact
        self._last: StepCounts | None = None
        self._renewed: datetime | None = None

    def add(self, target: Pod, answer: Scrape | Unanswered, at: datetime) -> None:
        """Adds the counts of a pod, or notes that it did not answer."""
        self._exact.add(target, answer, at)

    def fact(self, current: ScrapeTargets, at: datetime) -> StepCounts:
        """The sum of all counts, or an earlier one that differs little."""
        now = self._exact.fact(current, at)
        if self._last is None or self._renewed is None or self._is_news(self._last, now, at - self._renewed):
            self._last, self._renewed = now, at
        else:
            self._last = replace(self._last, kept=now.kept, silent=now.silent)
        return self._last

    @staticmethod
    def _is_news(last: StepCounts, now: StepCounts, age: timedelta) -> bool:
        return now.look != last.look and (age >= OLDEST_COUNTS or has_grown(last, now, LEAST_GROWTH))


class StepAnswers:
    """The counts of all pods in one step."""

    def __init__(self, current: ScrapeTargets) -> None:
        self._kept = kept_counts.read(current.kept, current.step)
        self._tally = StepTally(current.step.since, self._kept)
        self._silent: dict[str, tuple[datetime, str]] = {}
        # The text is that of the operator before, unless this release writes it in another way.
        self._text = kept_counts.text(current.step, self._kept) if self._kept != Kept() else ""
        self._last: StepCounts | None = None

    def add(self, target: Pod, answer: Scrape | Unanswered, at: datetime) -> None:
        """Adds the counts of a pod, or notes that it did not answer."""
        if isinstance(answer, Unanswered):
            since, _ = self._silent.get(target.uid, (at, ""))
            self._silent[target.uid] = since, answer.why
            return
        self._silent.pop(target.uid, None)
        self._tally.add(target.uid, target.revision, target.created, answer)

    def fact(self, current: ScrapeTargets, at: datetime) -> StepCounts:
        """The sum of all counts. Its `look` number increases when the counts change."""
        counts = step_counts(current.step, self._tally.sums)
        if self._last is None or counts != replace(self._last, look=0):
            look = 1 if self._last is None else self._last.look + 1
            self._last = replace(counts, look=look)
        kept = self._tally.kept({pod.uid for pod in current.targets})
        if kept != self._kept:
            self._kept, self._text = kept, kept_counts.text(current.step, kept)
        return replace(self._last, kept=self._text, silent=self._silences(current, at))

    def _silences(self, current: ScrapeTargets, at: datetime) -> tuple[Silence, ...]:
        """One for each revision with a ready pod that has not answered for SILENT_AFTER; of several causes, the first
        in alphabetical order."""
        self._silent = {pod.uid: self._silent[pod.uid] for pod in current.targets if pod.uid in self._silent}
        causes: dict[str, str] = {}
        for pod in current.targets:
            since, why = self._silent.get(pod.uid, (at, ""))
            if pod.uid in current.ready and at - since >= SILENT_AFTER:
                causes[pod.revision] = min(why, causes.get(pod.revision, why))
        return tuple(Silence(revision, why) for revision, why in sorted(causes.items()))
