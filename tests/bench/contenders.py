"""Starts the servers that are compared: ours as it is installed, and the peers. Asks nothing but the first answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import peers
from bench.asking import answer
from bench.bodies import NAME
from bench.generator import SERVER_CORE, BenchError
from bench.results import BEFORE, FASTAPI, KSERVE, MLSERVER, OURS
from bench.wrk import Request

START_SECONDS = 30.0
STOP_SECONDS = 10.0
INSTALLED = (str(Path(sys.executable).parent / "modelwright-serving"),)
UNCOUNTED = (sys.executable, str(Path(__file__).parent / "programs" / "uncounted.py"))


@dataclass(frozen=True)
class Contender:
    """A running server; a port is 0 where it has none."""

    name: str
    pid: int
    http_port: int
    grpc_port: int
    admin_port: int = 0


# Of a server for this model, from when it has answered this request.
Starter = Callable[[Path, Request], AbstractContextManager[Contender]]


@contextmanager
def ours(model: Path, first: Request, program: Sequence[str] = INSTALLED) -> Iterator[Contender]:
    """Our server, from when it has answered the first inference."""
    http, grpc, admin = free_ports(3)
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        where = ["--host=127.0.0.1", f"--http-port={http}", f"--grpc-port={grpc}", f"--admin-port={admin}"]
        how = ["--drain-delay-seconds=0", f"--termination-log={folder}/termination-log"]
        pinned = ["taskset", "--cpu-list", str(SERVER_CORE), *program]
        command = [*pinned, f"--model={model}", f"--name={NAME}", *where, *how]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            if not first_answer(process, http, first):
                log.seek(0)
                raise BenchError(f"our server gave no answer: {log.read()[-2000:]}")
            yield Contender(OURS, process.pid, http, grpc, admin)
        finally:
            end(process)


@contextmanager
def before(tree: Path, model: Path, first: Request) -> Iterator[Contender]:
    """Our server of another checkout, with the same Python and the same packages."""
    with ours(model, first, ("env", f"PYTHONPATH={tree / 'serving'}", *INSTALLED)) as server:
        yield replace(server, name=BEFORE)


@contextmanager
def peer(name: str, model: Path, first: Request) -> Iterator[Contender]:
    """Another server, from when it has answered the first inference."""
    with peers.running(name, model, [SERVER_CORE]) as found:
        status, content = answer(found.http_port, first)
        if status != 200:
            raise BenchError(f"{name} answers {status}: {content[:300]!r}")
        yield Contender(name, found.pid, found.http_port, found.grpc_port)


def starters(earlier: Path | None) -> dict[str, Starter]:
    """How everybody is started; with a checkout of an earlier revision, that one beside ours."""
    known = {} if earlier is None else {BEFORE: partial(before, earlier)}
    return {OURS: ours, **known, **{name: partial(peer, name) for name in (FASTAPI, MLSERVER, KSERVE)}}


def first_answer(process: subprocess.Popen[bytes], port: int, request: Request) -> bool:
    """Ask until there is an answer; False if the server ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if answer(port, request)[0] == 200:
                return True
        except OSError:
            pass  # Not listening yet.
        time.sleep(0.001)
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for one that does not obey."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
