"""Scenario with many canaries that shift at once: what it costs to ask all of their pods for their metrics."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.generator import BenchError
from bench.progress import say
from bench.scale import objects
from bench.scale.api import SERVICES, VERSIONS, Api, together
from bench.scale.audit import work
from bench.scale.convergence import service_path
from bench.scale.measuring import Site, beginning, phase, site, started, until
from bench.scale.objects import SERVICE, VERSION, Object
from bench.scale.place import LOGS
from bench.scale.process import Operator
from bench.scale.results import Canaries, Measured

SPACE = "ns-0"
PROGRAM = Path(__file__).parent / "programs" / "rollout_metrics.py"
# Of the servers in the pods; modelwright.inferenceservice.manifests.names has it as well.
ADMIN_PORT = 9090
REPLICAS = 3
WEIGHT = 30
ROLLOUT = {
    "strategy": "Canary",
    "steps": [{"weight": WEIGHT, "mirror": 10, "holdSeconds": 7200}],
    "analysis": {"maxP99Increase": 0.5, "minAgreement": 0.9, "maxDifference": 0.5},
}
# How often a round asks all pods. The sampler of pods has it as well.
ROUND_SECONDS = 2.0
WARM_UP_SECONDS = 90.0
_REVISION = "modelwright.dev/revision"
_SERVICE = "modelwright.dev/inference-service"


@dataclass(frozen=True)
class Size:
    """So many services, for so long."""

    services: int
    seconds: float
    quiet_seconds: float


async def shifting(size: Size) -> Canaries:
    """Runs the scenario."""
    measured = beginning()
    names = [f"{SERVICE}{number:03}" for number in range(size.services)]
    async with site(1) as where, started(where.place) as (operator, _):
        for version in ("one", "two"):
            await where.api.create(objects.version(SPACE, f"{VERSION}{version}", "model"))

        async def make() -> None:
            await where.api.create_all(
                objects.service(SPACE, name, {"version": f"{VERSION}one"}, replicas=REPLICAS, rollout=ROLLOUT)
                for name in names
            )

        await phase(where, operator, VERSIONS, VERSION, _nothing, 60)
        await phase(where, operator, SERVICES, SERVICE, make, 180)
        quiet, _ = await _share(operator, size.quiet_seconds)
        change = {"spec": {"model": {"version": f"{VERSION}two"}}}
        await together(where.api.patch(service_path(SPACE, name), change) for name in names)
        async with _answering(await _pods(where.api, size.services)) as exposition:
            await _answers_come(operator, size.services * (REPLICAS + 1))
            return await _measured(where, operator, size, quiet, len(exposition), measured)


async def _measured(
    where: Site,
    operator: Operator,
    size: Size,
    quiet: float,
    bytes_each: int,
    measured: Callable[[], Measured],
) -> Canaries:
    mark = where.place.mark()
    answered = await _samples(operator, "answered")
    unanswered = await _samples(operator, "unanswered|failed")
    share, seconds = await _share(operator, size.seconds)
    answers = await _samples(operator, "answered") - answered
    found = Canaries(
        services=size.services,
        pods=size.services * (REPLICAS + 1),
        seconds=seconds,
        cpu_share=share,
        quiet_share=quiet,
        answers=answers,
        unanswered=await _samples(operator, "unanswered|failed") - unanswered,
        rounds=seconds / ROUND_SECONDS,
        exposition_bytes=bytes_each,
        writes=sum(request.writes for request in work(where.place.requests(mark))),
        measured=measured(),
    )
    say(
        f"  {share:.1%} of a core ({quiet:.1%} before); {answers:.0f} answers in {seconds:.0f} s, "
        f"{found.unanswered:.0f} without one, {bytes_each} bytes each, {found.writes} writes"
    )
    return found


async def _answers_come(operator: Operator, pods: int) -> None:
    """Until every pod has answered, those included that were asked before anything answered for them."""
    answered = await _samples(operator, "answered")

    async def twice() -> bool:
        return await _samples(operator, "answered") >= answered + 2 * pods

    await until(
        twice, WARM_UP_SECONDS, f"the operator gets no answers from {pods} pods: read {LOGS}/operator.log"
    )


async def _nothing() -> None:
    """Makes nothing."""


async def _share(operator: Operator, seconds: float) -> tuple[float, float]:
    """The share of a core that the operator uses over some time, and the time."""
    cpu, began = operator.cpu, time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    return (operator.cpu - cpu) / took, took


async def _samples(operator: Operator, outcome: str) -> float:
    return await operator.metric(rf'modelwright_samples_total\{{fact="pod-counts",outcome="(?:{outcome})"\}}')


async def _pods(api: Api, services: int) -> dict[str, Object]:
    """The pods by address: their own revision, and the canary's. Waits until every canary has its share."""
    deadline = time.monotonic() + 120
    while True:
        listed = await api.get(f"apis/{SERVICES}")
        canaries = {
            each["metadata"]["name"]: each["status"]["canary"]
            for each in listed["items"]
            if each.get("status", {}).get("canary", {}).get("weight") == WEIGHT
        }
        if len(canaries) == services:
            break
        if time.monotonic() > deadline:
            raise BenchError(f"only {len(canaries)} canaries have a share of the traffic")
        await asyncio.sleep(1)
    pods = await api.get(f"api/v1/namespaces/{SPACE}/pods", labelSelector=_REVISION)
    return {
        pod["status"]["podIP"]: {
            "revision": pod["metadata"]["labels"][_REVISION],
            "canary": canaries[pod["metadata"]["labels"][_SERVICE]]["revision"],
        }
        for pod in pods["items"]
    }


@asynccontextmanager
async def _answering(pods: dict[str, Object]) -> AsyncIterator[str]:
    """A program that answers for the pods; gives one exposition."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, (LOGS / "pods.log").open("w") as log:
        json.dump(pods, file)
        file.flush()
        command = (sys.executable, str(PROGRAM), file.name, str(ADMIN_PORT))
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield await asyncio.to_thread(_ask, next(iter(pods)))
        finally:
            process.kill()
            await process.wait()


def _ask(address: str) -> str:
    """One exposition; the program needs a moment to start."""
    deadline = time.monotonic() + WARM_UP_SECONDS
    while True:
        try:
            url = f"http://{address}:{ADMIN_PORT}/metrics?view=rollout"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError as error:
            if time.monotonic() > deadline:
                raise BenchError(f"nothing answers for the pods: read {LOGS}/pods.log") from error
            time.sleep(0.2)
