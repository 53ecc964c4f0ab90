"""Where the engine is tried: an API server with a namespace of its own, an operator at work in it."""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from fakes.objects import TOYS, config_map, map_key, toy, toy_definition, toy_key
from fakes.proxy import Proxy, proxied
from fakes.toy_operator import KINDS
from kubernetes.aio.client import Configuration
from support.kubectl import KUBECONFIG, ROOT, Kubectl

from modelwright.engine.api import MANAGER, STATUS_MANAGER, Api
from modelwright.engine.client import Client
from modelwright.engine.connection import configure
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import Body, Key
from modelwright.engine.runtime import Operator, ProcessSettings


async def until(holds: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    """Waits for something to come true."""
    async with asyncio.timeout(seconds):
        while True:
            held = holds()
            if await held if inspect.isawaitable(held) else held:
                return
            await asyncio.sleep(0.05)


@dataclass
class Place:
    """An API server and a namespace in it."""

    api: Api
    namespace: str

    def map(self, name: str = "m") -> Key:
        return map_key(name, self.namespace)

    def toy(self, name: str = "churn") -> Key:
        return toy_key(name, self.namespace)

    async def make_toy(self, name: str = "churn") -> Body:
        return await self.api.create(self.toy(name), {**toy(), "metadata": {"name": name}})

    async def make_map(self, name: str = "m", **data: str) -> Body:
        return await self.api.create(self.map(name), config_map(self.map(name), None, **data))

    async def apply(self, manager: str = MANAGER, name: str = "m", **data: str) -> Body:
        return await self.api.apply(self.map(name), config_map(self.map(name), None, **data), manager=manager)

    async def say(self, about: Body, status: dict[str, Any], **precondition: str) -> Body:
        identity = {"name": about["metadata"]["name"], "namespace": self.namespace, **precondition}
        body = {"apiVersion": TOYS.api_version, "kind": TOYS.kind, "metadata": identity, "status": status}
        return await self.api.apply_status(self.toy(identity["name"]), body, manager=STATUS_MANAGER)


@asynccontextmanager
async def real_place(kubectl: Kubectl) -> AsyncIterator[Place]:
    """The real API server, which gets to know toys, and the namespace of a test."""
    definition = toy_definition()
    kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(definition))
    kubectl.run("wait", "--for=condition=Established", f"crd/{definition['metadata']['name']}")
    client = Client(await configure(KUBECONFIG))
    try:
        yield Place(client, kubectl.namespace)
    finally:
        await client.close()


@dataclass
class Running:
    """An operator at work behind a proxy."""

    operator: Operator
    proxy: Proxy
    stop: asyncio.Event
    task: asyncio.Task[None]
    breaks: bool = False

    async def settled(self) -> None:
        """Waits until it has seen everything and is in charge."""
        await until(lambda: not self.operator.watcher.unfilled and self.operator.election.may_write())

    async def ask(self, path: str) -> tuple[int, str]:
        return await ask(self.operator.health.port, path)


@asynccontextmanager
async def operating(
    configuration: Configuration, namespace: str, *more: Kind, others: tuple[str, ...] = ()
) -> AsyncIterator[Running]:
    """An operator for one namespace, and others, while it runs."""
    async with proxied(configuration) as proxy:
        through = Configuration(host=proxy.url)
        settings = ProcessSettings(
            lease_namespace=namespace,
            namespaces=(namespace, *others),
            health_host="127.0.0.1",
            health_port=0,
            workers=4,
        )
        operator, stop = Operator([*KINDS, *more], settings, through), asyncio.Event()
        running = Running(operator, proxy, stop, asyncio.create_task(operator.run(stop)))
        try:
            yield running
        finally:
            stop.set()
            await asyncio.wait([running.task], timeout=30)
            if not running.breaks:
                running.task.result()


@dataclass
class Process:
    """An operator as a process of its own."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def ask(self, path: str) -> tuple[int, str]:
        """What it answers; status 0 when it does not."""
        try:
            return await ask(self.port, path)
        except aiohttp.ClientError:
            return 0, ""

    async def is_ready(self) -> bool:
        return (await self.ask("/readyz"))[0] == 200

    async def leads(self) -> bool:
        return "modelwright_leader 1.0" in (await self.ask("/metrics"))[1]

    async def ends(self) -> int:
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def processes(namespace: str, logs: Path) -> AsyncIterator[Callable[[Path], Awaitable[Process]]]:
    """Starts operators by a kubeconfig; none outlives the test. What they log goes to files in a folder."""
    started: list[asyncio.subprocess.Process] = []

    async def start(kubeconfig: Path) -> Process:
        port = free_port()
        log = logs / f"operator-{len(started)}.log"
        with log.open("w") as said:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "fakes.toy_operator"),
                *(str(kubeconfig), namespace, str(port)),
                cwd=ROOT / "tests",
                stderr=said,
            )
        started.append(process)
        return Process(process, port, log)

    try:
        yield start
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def ask(port: int, path: str) -> tuple[int, str]:
    """What a process on this host answers."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
