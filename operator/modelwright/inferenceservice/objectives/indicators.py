"""What of a service's requests an objective counts, as queries to Prometheus. Pure.

Every request counts once, as its caller met it: copies for comparison and failures of a canary that the stable revision
made up for are taken away (modelwright_unseen_requests_total, docs/serving.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from modelwright.api.monitoring import LATENCY_TARGET, Objectives
from modelwright.inferenceservice.analysis.counts import GRPC_FAULTS

# The server's faults, as the analysis of a canary counts them.
FAULTS = "|".join(("5..", *sorted(GRPC_FAULTS)))


@dataclass(frozen=True)
class Indicator:
    """One objective. `requests` and `failures`: queries for how many of them there are per second, over 5 minutes.

    `objective`: the share of the requests, between 0 and 1, that are promised not to be failures. `promise`: a phrase.
    """

    name: str
    objective: float
    requests: str
    failures: str
    promise: str

    @property
    def budget(self) -> float:
        """The share of the requests that may be failures."""
        return 1 - self.objective


def indicators(objectives: Objectives, namespace: str, service: str) -> tuple[Indicator, ...]:
    """The objectives that the spec names. The servers call their model as the service is called."""
    of = f'namespace="{namespace}",model="{service}"'
    found = []
    if objectives.availability is not None:
        found.append(_availability(objectives.availability, of))
    if objectives.latency_seconds is not None:
        target = LATENCY_TARGET if objectives.latency_target is None else objectives.latency_target
        found.append(_latency(target, objectives.latency_seconds, of))
    return tuple(found)


def _availability(objective: float, of: str) -> Indicator:
    """Failures are answers with an error of the server."""
    requests = _met(f"requests_total{{{of}}}", needed=True)
    failures = _met(f'requests_total{{{of},code=~"{FAULTS}"}}', needed=False)
    return Indicator(
        "availability",
        objective,
        requests,
        f"clamp_min({failures}, 0)",
        f"{percent(objective)} of the requests are answered without an error of the server",
    )


def _latency(objective: float, seconds: float, of: str) -> Indicator:
    """Failures are answers that took longer."""
    requests = _met(f"request_duration_seconds_count{{{of}}}", needed=True)
    # As the server writes its bounds, and as Prometheus 3 reads them.
    quick = _met(f'request_duration_seconds_bucket{{{of},le="{float(seconds)}"}}', needed=True)
    return Indicator(
        "latency",
        objective,
        requests,
        f"clamp_min(({requests}) - ({quick}), 0)",
        f"{percent(objective)} of the requests are answered within {seconds:g} s",
    )


def _met(series: str, *, needed: bool) -> str:
    """How many a second callers have met, of a counter without its prefix. `needed`: nothing where there is none."""
    counted = f"sum(rate(modelwright_{series}[5m]))"
    unseen = f"(sum(rate(modelwright_unseen_{series}[5m])) or vector(0))"
    return f"{counted if needed else f'({counted} or vector(0))'} - {unseen}"


def percent(share: float) -> str:
    """A share in percent, as people write it."""
    return f"{share * 100:.10g} %"
