"""What no watch can tell: who is asked, how often and within which limits, by one supervised loop."""

from __future__ import annotations

from modelwright.engine.runtime import Companion, Surroundings
from modelwright.sampling import http, loop
from modelwright.sampling.failed_creates import FailedCreates
from modelwright.sampling.pods import PodCounts
from modelwright.sampling.prometheus import Queries


def sampling(prometheus_url: str | None) -> Companion:
    """Everything that is asked for while the operator runs."""

    async def sample(around: Surroundings) -> None:
        # A connection to Prometheus that is kept may end just when it is used again, which would seem to be its fault.
        async with http.session(reuse=True) as pods, http.session(reuse=False) as prometheus:
            sources = (PodCounts(pods), Queries(prometheus, prometheus_url), FailedCreates(around.client))
            desk = loop.Surroundings(around.intake, around.leads, around.metrics.sampled)
            await loop.Loop(sources, desk).run()

    return sample
