"""Asks the pods of running rollouts for their metrics, and puts what they say where planners see it.

The only requests that the operator sends to pods. Which pods, and what the answers mean, is left to the kind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Protocol

import aiohttp

from modelwright.common.resources import INFERENCE_SERVICES, MEASUREMENTS
from modelwright.engine.cache import View
from modelwright.engine.objects import ROOT_UID, Body, Key, ResourceType
from modelwright.inferenceservice.analysis.exposition import Counts, Tally, counts, measured
from modelwright.inferenceservice.analysis.scrape_targets import Campaign, Pod, campaigns
from modelwright.inferenceservice.manifests.names import ADMIN_PORT

logger = logging.getLogger(__name__)

SECONDS = 2.0
PATIENCE = aiohttp.ClientTimeout(total=1.5)
MOST_BYTES = 1024**2
AT_ONCE = 32


class Notebook(View, Protocol):
    """The cache, as far as measuring needs it."""

    def keys(self, resource: ResourceType) -> Iterable[Key]:
        """The keys of all objects of a kind."""
        ...

    def put(self, resource: ResourceType, body: Body) -> bool:
        """Takes in a body, and wakes whom it concerns."""
        ...

    def remove(self, resource: ResourceType, body: Body) -> bool:
        """Forgets a body."""
        ...


class Measuring:
    """Looks at every rollout again and again while this process leads."""

    def __init__(self, notebook: Notebook, leads: Callable[[], bool], port: int = ADMIN_PORT) -> None:
        self._notebook = notebook
        self._leads = leads
        self._port = port
        self._tallies: dict[tuple[str, str], dict[str, Tally]] = {}
        self._versions = count(1)
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with aiohttp.ClientSession(timeout=PATIENCE, trust_env=False) as session:
            while True:
                if self._leads():
                    await self._round(session)
                await asyncio.sleep(SECONDS)

    async def _round(self, session: aiohttp.ClientSession) -> None:
        found = list(campaigns(self._notebook, self._notebook.keys(INFERENCE_SERVICES)))
        await asyncio.gather(*(self._measure(session, campaign) for campaign in found))
        running = {(campaign.uid, campaign.since) for campaign in found}
        self._tallies = {step: tallies for step, tallies in self._tallies.items() if step in running}
        forget_others(self._notebook, MEASUREMENTS, (campaign.key for campaign in found))

    async def _measure(self, session: aiohttp.ClientSession, campaign: Campaign) -> None:
        tallies = self._tallies.setdefault((campaign.uid, campaign.since), {})
        answers = await asyncio.gather(*(self._ask(session, pod) for pod in campaign.pods))
        for pod, answer in zip(campaign.pods, answers, strict=True):
            if answer is not None:
                new = Tally(pod.revision, since_start=pod.created > campaign.since)
                tallies.setdefault(pod.uid, new).add(answer)
        self._note(campaign, tallies)

    async def _ask(self, session: aiohttp.ClientSession, pod: Pod) -> Counts | None:
        """A pod's counts; None from one that does not answer, which is no verdict about anything."""
        host = f"[{pod.address}]" if ":" in pod.address else pod.address
        try:
            async with self._gate, session.get(f"http://{host}:{self._port}/metrics") as answer:
                content = b"".join([chunk async for chunk in _bounded(answer.content)])
                return counts(content.decode()) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            logger.debug("no metrics from pod %s: %s", pod.address, error)
            return None

    def _note(self, campaign: Campaign, tallies: Mapping[str, Tally]) -> None:
        counted = measured(campaign.since, campaign.judged, tallies.values(), direct=campaign.direct)
        known = self._notebook.get(Key(MEASUREMENTS, campaign.key.namespace, campaign.key.name))
        before = 0 if known is None else known["measured"].look
        if known is not None and known["measured"] == replace(counted, look=before):
            return
        found = replace(counted, look=before + 1)
        meta = entry(campaign.key, campaign.uid, "measured", next(self._versions))
        self._notebook.put(MEASUREMENTS, {"metadata": meta, "measured": found})


def entry(key: Key, owner: str, kind: str, version: int) -> dict[str, Any]:
    """The metadata of what is put into the cache about an object: under its name, and to wake who looks after it."""
    return {
        "name": key.name,
        "namespace": key.namespace,
        "uid": f"{owner}/{kind}",
        "resourceVersion": str(version),
        "labels": {ROOT_UID: owner},
    }


def forget_others(notebook: Notebook, resource: ResourceType, kept: Iterable[Key]) -> None:
    """Removes what is known of this kind about objects that are not among those kept: their steps are over."""
    names = {(key.namespace, key.name) for key in kept}
    for key in notebook.keys(resource):
        body = notebook.get(key)
        if body is not None and (key.namespace, key.name) not in names:
            notebook.remove(resource, body)


async def measure(notebook: Notebook, leads: Callable[[], bool]) -> None:
    """Goes on for as long as the operator runs."""
    await Measuring(notebook, leads).run()


async def _bounded(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The chunks of a body; ValueError if it is too large to be true."""
    size = 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes of metrics")
        yield chunk
