"""Collects facts that do not come from a watch: one supervised loop queries pods, Prometheus and
the API server."""

from __future__ import annotations

from modelwright.common.settings import Prometheus
from modelwright.engine.runtime import Companion, Surroundings
from modelwright.sampling import http, loop
from modelwright.sampling.approvals_policy import ApprovalsPolicy
from modelwright.sampling.failed_creates import FailedCreates
from modelwright.sampling.monitor import MonitorReports
from modelwright.sampling.pods import PodCounts
from modelwright.sampling.prometheus import Queries


def sampling(prometheus_settings: Prometheus, approvals_policy: str | None) -> Companion:
    """Returns the task that samples all sources while the operator runs.

    `approvals_policy`: the name of the admission policy that checks approvals; None if the chart has installed none."""

    async def sample(around: Surroundings) -> None:
        # Prometheus may close an idle connection just when it is used again, which would look like a failure.
        async with http.session(reuse=True) as pods, http.session(reuse=False) as prometheus:
            sources = (
                PodCounts(pods),
                MonitorReports(pods),
                Queries(prometheus, prometheus_settings),
                FailedCreates(around.client),
                ApprovalsPolicy(around.client, approvals_policy),
            )
            context = loop.Context(around.intake, around.leads, around.metrics.sampled)
            await loop.Loop(sources, context).run()

    return sample
