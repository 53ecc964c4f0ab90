"""Starts a server as its pod would: the command and the probes that the operator writes, one core, limited memory."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacks.group import MemoryGroup
from attacks.questions import NAME
from bench.contenders import first_answer, free_ports
from bench.generator import SERVER_CORE
from bench.wrk import Request
from cluster.paths import REPOSITORY

MANIFEST = Path(__file__).parent / "programs" / "manifest.py"
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
# Where the operator installs what; everything else of the command is kept.
OURS = ("--model", "--model-digest", "--name", "--http-port", "--grpc-port", "--admin-port", "--traffic")


class AttackError(Exception):
    """Nothing can be measured."""


@dataclass(frozen=True)
class Probe:
    """What the kubelet asks: `port` is the name of one of the container's."""

    name: str
    port: str
    path: str


@dataclass(frozen=True)
class Pod:
    """The server's container of an InferenceService, of the checkout in `tree`."""

    tree: Path
    options: tuple[str, ...]
    probes: tuple[Probe, ...]
    memory: int
    """The limit, in bytes."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    ports: Mapping[str, int]
    probes: tuple[Probe, ...]
    group: MemoryGroup | None
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


def pod(tree: Path = REPOSITORY) -> Pod:
    """The pod that the operator of this checkout starts by default."""
    command = [sys.executable, str(MANIFEST)]
    done = subprocess.run(
        command, env=variables(tree, "tests"), capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise AttackError(f"the operator in {tree} writes no pod: {done.stderr[-500:]}")
    return read(tree, json.loads(done.stdout))


def read(tree: Path, container: Mapping[str, Any]) -> Pod:
    """The parts of a container that matter here."""
    options: list[str] = []
    kept = True
    for word in container["command"][1:]:
        if word.startswith("--"):
            kept = word not in OURS
        options += [word] if kept else []
    probes = tuple(
        Probe(
            name,
            str(container[f"{name}Probe"]["httpGet"]["port"]),
            container[f"{name}Probe"]["httpGet"]["path"],
        )
        for name in ("readiness", "liveness")
    )
    limit = str(container["resources"].get("limits", {}).get("memory", "512Mi"))
    return Pod(tree, tuple(options), probes, int(limit[:-2]) * UNITS[limit[-2:]])


def some_ports() -> dict[str, int]:
    """A free port for each of the container's."""
    return dict(zip(("http", "grpc", "admin"), free_ports(3), strict=True))


@contextmanager
def started(from_pod: Pod, ports: Mapping[str, int], model: Path, first: Request) -> Iterator[Server]:
    """A server of its own on 127.0.0.1, from when it has answered the first inference."""
    group = MemoryGroup.made(from_pod.memory)
    log = model.parent / "server.log"
    where = [f"--{name}-port={port}" for name, port in ports.items()]
    program = ["taskset", "--cpu-list", str(SERVER_CORE), sys.executable, "-m", "modelwright_serving.main"]
    command = [
        *program,
        f"--model={model}",
        f"--name={NAME}",
        "--host=127.0.0.1",
        *where,
        *from_pod.options,
    ]
    command += _takes_feedback(from_pod.tree, model.parent / "keys")
    command += ["--drain-delay-seconds=0", f"--termination-log={model.parent / 'termination-log'}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            _joining(group, command), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=variables(from_pod.tree), start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - the harness has one thread
        )  # fmt: skip
    before_others(process.pid, 10)
    try:
        if not first_answer(process, ports["http"], first):
            raise AttackError(f"the server gave no answer: {log.read_text()[-2000:]}")
        yield Server(process, ports, from_pod.probes, group, log)
    finally:
        process.kill()
        process.wait()
        if group:
            group.remove()


def _takes_feedback(tree: Path, keys: Path) -> list[str]:
    """The option with which the server gives tokens and takes feedback, unless the checkout is of before that."""
    if not (tree / "serving" / "modelwright_serving" / "feedback").is_dir():
        return []
    keys.mkdir(exist_ok=True)
    (keys / "key").write_bytes(b"sixteen bytes and more")
    return [f"--feedback-keys={keys}"]


def variables(tree: Path, *more: str) -> dict[str, str]:
    """The environment in which Python finds the modules of a checkout."""
    folders = [str(tree / folder) for folder in ("operator", "serving", "training", *more)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*folders, str(tree)])}


def _joining(group: MemoryGroup | None, command: Sequence[str]) -> list[str]:
    if group is None:
        return list(command)
    return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group.joined), *command]


def end_with_parent() -> None:
    """A harness that is killed leaves nothing behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def before_others(pid: int, levels: int) -> None:
    """Schedule a process before everything else on this machine, whose work is not the attacker's.

    Where the kernel groups processes by session, the levels of single processes count within their group only.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, -levels)
        Path(f"/proc/{pid}/autogroup").write_text(str(-levels))
