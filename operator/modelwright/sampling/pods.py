"""Asks the pods of running rollouts for their metrics: the only requests that the operator sends to pods.

Which pods, and what their counts mean, is left to the kind.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import aiohttp

from modelwright.common.facts import POD_COUNTS
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.engine.cache import View
from modelwright.engine.objects import Key
from modelwright.inferenceservice.analysis.counts import Silence, StepCounts
from modelwright.inferenceservice.analysis.exposition import Counts, Tally, counts, step_counts
from modelwright.inferenceservice.analysis.scrape_targets import Pod, ScrapeTargets, scrape_targets
from modelwright.inferenceservice.manifests.names import ADMIN_PORT
from modelwright.sampling import http
from modelwright.sampling.loop import Book, Limits, NoAnswer, Source, Unanswered

MOST_BYTES = 256 * 1024
# A pod that is only slow for a moment, or has just become ready, is no news.
SILENT_AFTER = timedelta(seconds=10)


class PodCounts(Source[ScrapeTargets, Pod, Counts]):
    """What pods have counted in the present step."""

    fact = POD_COUNTS
    resource = INFERENCE_SERVICES
    limits = Limits(every=2.0, timeout=1.5, per_object=16, in_all=256)

    def __init__(self, session: aiohttp.ClientSession, port: int = ADMIN_PORT) -> None:
        self._session = session
        self._port = port

    def round(self, view: View, key: Key, now: datetime) -> ScrapeTargets | None:
        """The pods of a service whose canary has traffic."""
        return scrape_targets(view, key)

    async def ask(self, now: ScrapeTargets, target: Pod, at: datetime) -> Counts:
        """A pod's counts."""
        host = f"[{target.address}]" if ":" in target.address else target.address
        url = f"http://{host}:{self._port}/metrics"
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise NoAnswer(f"it answers with HTTP status {answer.status}")
                content = await http.body(answer, MOST_BYTES)
        except (aiohttp.ClientConnectorError, OSError) as error:
            raise NoAnswer("it cannot be connected to") from error
        except aiohttp.ClientError as error:
            raise NoAnswer("its answer is not HTTP, or breaks off") from error
        try:
            return counts(content.decode())
        except ValueError as error:
            raise NoAnswer("its answer holds no metrics that can be believed") from error

    def book(self, now: ScrapeTargets) -> Book[ScrapeTargets, Pod, Counts]:
        """The counts of a step, from none."""
        return StepBook(now.since)


class StepBook:
    """The counts of all pods in one step. Those of pods that are gone stay: they were counted in it."""

    def __init__(self, since: str) -> None:
        self._since = since
        self._tallies: dict[str, Tally] = {}
        self._silent: dict[str, tuple[datetime, str]] = {}
        self._found: StepCounts | None = None

    def take(self, target: Pod, answer: Counts | Unanswered, at: datetime) -> None:
        """Adds a pod's counts; one without an answer says nothing about anybody."""
        if isinstance(answer, Unanswered):
            begun, _ = self._silent.get(target.uid, (at, ""))
            self._silent[target.uid] = begun, answer.why
            return
        self._silent.pop(target.uid, None)
        new = Tally(target.revision, since_start=target.created > self._since)
        self._tallies.setdefault(target.uid, new).add(answer)

    def found(self, now: ScrapeTargets, at: datetime) -> StepCounts:
        """The counts of all, and a new look where they differ from those before."""
        counted = step_counts(now.since, now.judged, self._tallies.values(), direct=now.direct)
        if self._found is None or counted != replace(self._found, look=0):
            look = 1 if self._found is None else self._found.look + 1
            self._found = replace(counted, look=look)
        return replace(self._found, silent=self._silences(now, at))

    def _silences(self, now: ScrapeTargets, at: datetime) -> tuple[Silence, ...]:
        """One for each revision with ready pods that have not answered for a while; of several causes the first."""
        self._silent = {pod.uid: self._silent[pod.uid] for pod in now.targets if pod.uid in self._silent}
        found: dict[str, str] = {}
        for pod in now.targets:
            begun, why = self._silent.get(pod.uid, (at, ""))
            if pod.uid in now.ready and at - begun >= SILENT_AFTER:
                found[pod.revision] = min(why, found.get(pod.revision, why))
        return tuple(Silence(revision, why) for revision, why in sorted(found.items()))
