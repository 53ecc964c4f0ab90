"""Starts a peer's server on free ports and ends it by its process id. How each server serves is left to `servers/`."""

import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.error import URLError

from peers.environments import python

MODEL = "m"
SERVERS = ("fastapi", "kserve", "mlserver")
PROGRAMS = Path(__file__).parent / "servers"
START_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Peer:
    """A server that answers on 127.0.0.1; `grpc_port` is 0 where it has no gRPC. The model is called MODEL."""

    name: str
    http_port: int
    grpc_port: int
    pid: int


@contextmanager
def running(name: str, model_path: Path, cores: Sequence[int] | None = None) -> Iterator[Peer]:
    """The server of this name with this model, pinned to `cores` if given, until the block ends."""
    http_port, grpc_port = _free_ports(2)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        process = _start(name, model_path, (http_port, grpc_port), cores, Path(folder), log)
        try:
            _wait(process, http_port, log)
            yield Peer(name, http_port, 0 if name == "fastapi" else grpc_port, process.pid)
        finally:
            _end(process)


def _start(
    name: str,
    model_path: Path,
    ports: tuple[int, int],
    cores: Sequence[int] | None,
    folder: Path,
    log: IO[bytes],
) -> "subprocess.Popen[bytes]":
    pinned = ["taskset", "--cpu-list", ",".join(map(str, cores))] if cores else []
    program = [str(python(name)), str(PROGRAMS / f"{name}_server.py")]
    arguments = [str(model_path.resolve()), MODEL, *map(str, ports)]
    # A folder of its own: MLServer reads settings from the one it is started in.
    return subprocess.Popen(
        [*pinned, *program, *arguments],
        cwd=folder,
        env=_variables(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )


def _variables() -> dict[str, str]:
    """No telemetry, no Python path of ours, and no settings that the caller may have for these servers."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLSERVER_", "KSERVE_", "OTEL_", "PYTHON"))
    }
    return kept | {"ORT_DISABLE_TELEMETRY": "1", "OTEL_SDK_DISABLED": "true", "OMP_NUM_THREADS": "1"}


def _wait(process: "subprocess.Popen[bytes]", port: int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            said = log.read().decode(errors="replace")[-3000:]
            raise RuntimeError(f"the server did not start: {said}")
        time.sleep(0.05)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/{MODEL}/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
