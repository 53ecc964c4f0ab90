"""One attack on one fresh server, with honest callers and a kubelet beside it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from attacks import questions
from attacks.aim import Attack
from attacks.models import MODELS, Victim
from attacks.pod import (
    AttackError,
    Pod,
    Server,
    before_others,
    end_with_parent,
    some_ports,
    started,
    variables,
)
from attacks.results import Cost, Effect, Times
from bench import proc
from bench.arithmetic import percentile
from bench.generator import GENERATOR_CORE
from bench.wrk import Request
from cluster.paths import REPOSITORY

WARM_SECONDS = 0.2
QUIET_SECONDS = 0.7
AFTER_SECONDS = 0.2
LATE_SECONDS = 20.0


@dataclass(frozen=True)
class Sample:
    """A request beside the attack."""

    who: str
    began: float
    taken: float
    ended: str


def effect(attack: Attack, pod: Pod, seconds: float) -> Effect:
    """The attack for so many seconds, and what it did to a server of its own."""
    victim, ports = _victim(attack.model), some_ports()
    first = Request(questions.INFER, questions.document(victim.input_name, victim.rows[:1]))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "model.onnx").write_bytes(victim.content)
        attacker = stack.enter_context(_program("attacks.attacker", 5))
        _say(attacker, json.dumps({"attack": attack.name, "ports": ports, "seconds": seconds}))
        others = stack.enter_context(_program("attacks.honest", 10))
        _say(others, json.dumps(_asked(victim, pod, ports)))
        server = stack.enter_context(started(pod, ports, folder / "model.onnx", first))
        _expect_ready(attacker)
        _expect_ready(others)
        return _attacked(attack, server, attacker, others, seconds)


def _attacked(
    attack: Attack,
    server: Server,
    attacker: subprocess.Popen[str],
    others: subprocess.Popen[str],
    seconds: float,
) -> Effect:
    _say(others, "go")
    time.sleep(WARM_SECONDS)
    quiet_from = time.monotonic()
    time.sleep(QUIET_SECONDS)
    memory, cpu = _forget_peak(server), _cpu(server)
    began = time.monotonic()
    _say(attacker, "go")
    peak = _watched(server, attacker, began + seconds + LATE_SECONDS)
    ended = time.monotonic()
    cpu = _cpu(server) - cpu
    time.sleep(AFTER_SECONDS)
    found = _samples(others)
    return Effect(
        name=attack.name,
        title=attack.title,
        model=attack.model,
        seconds=ended - began,
        cost=_cost(attacker),
        killed=not server.alive,
        resident_before_mib=memory,
        resident_mib=max(peak, _peak(server)),
        group_mib=server.group.peak_mib() if server.group else None,
        cpu_seconds=cpu,
        quiet=times(found, quiet_from, began),
        during=times(found, began, ended),
    )


@cache
def _victim(model: str) -> Victim:
    return MODELS[model]()


def _asked(victim: Victim, pod: Pod, ports: Mapping[str, int]) -> dict[str, Any]:
    """What honest callers and the kubelet ask."""
    name = victim.input_name
    rows = [victim.rows[number : number + 1] for number in range(len(victim.rows))]
    return {
        "ports": dict(ports),
        "probes": [(one.name, one.port, one.path) for one in pod.probes],
        "http": [_text(questions.post(questions.document(name, row))) for row in rows],
        "grpc": [_text(questions.message(name, row)) for row in rows],
    }


def _watched(server: Server, attacker: subprocess.Popen[str], until: float) -> float:
    """Wait for the attacker's end; the most memory that was seen, for a server that is killed has no peak to read."""
    most = 0.0
    while attacker.poll() is None and time.monotonic() < until:
        most = max(most, _peak(server))
        time.sleep(0.02)
    return most


def _expect_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise AttackError("the attacker or the honest callers have not begun")


def _samples(others: subprocess.Popen[str]) -> list[Sample]:
    """What honest callers and the kubelet have seen, once their last requests have ended."""
    out, _ = others.communicate(timeout=LATE_SECONDS)
    return [Sample(*one) for one in json.loads(out)]


@contextmanager
def _program(module: str, levels: int) -> Iterator[subprocess.Popen[str]]:
    """A Python program of ours on the core that the server does not have."""
    command = ["taskset", "--cpu-list", str(GENERATOR_CORE), sys.executable, "-m", module]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables(REPOSITORY, "tests"),
        start_new_session=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - the harness has one thread
    )  # fmt: skip
    before_others(process.pid, levels)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError, ValueError):
                if pipe is not None:
                    pipe.close()


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _cost(attacker: subprocess.Popen[str]) -> Cost:
    if attacker.poll() is None:
        return Cost(sent=0, received=0, connections=0, ends={"the attacker hung": 1})
    assert attacker.stdout is not None
    found: dict[str, Any] = json.loads(attacker.stdout.readline())
    return Cost(**found)


def times(samples: Sequence[Sample], began: float, ended: float) -> dict[str, Times]:
    """Of those that began in this time, by who asked."""
    found = {}
    for who in dict.fromkeys(sample.who for sample in samples):
        mine = [one for one in samples if one.who == who and began <= one.began < ended]
        if mine:
            taken = [one.taken for one in mine]
            found[who] = Times(
                requests=len(mine),
                p50=percentile(taken, 0.5),
                p99=percentile(taken, 0.99),
                highest=max(taken),
                failed=dict(Counter(one.ended for one in mine if one.ended not in {"ok", "other bits"})),
            )
    return found


def _forget_peak(server: Server) -> float:
    """Resident MiB now; the kernel's peak begins here."""
    with suppress(OSError):
        Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    return proc.resident_mib(server.process.pid)


def _peak(server: Server) -> float:
    """Resident MiB at their highest; 0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        return 0.0


def _cpu(server: Server) -> float:
    try:
        return proc.cpu_seconds(server.process.pid)
    except (OSError, IndexError):
        return 0.0


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
