"""Measures what a model outside the cluster costs a serving pod. Run by `make bench-stores`.

A large model from an S3 server (versitygw) and from a web server with TLS, beside curl in the same rounds: rate,
memory, and the bytes that are fetched again after kills. A small model: how much later its server is ready than from
a claim. Prints the targets and what was found as Markdown and, unless it is a quick look, writes it into
docs/performance.md. A missed target is no error.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.document import DOCUMENT, placed
from bench.generator import BenchError
from bench.machine import commit, machine
from bench.model import logistic_regression
from bench.progress import say
from bench.stores.growth import image
from bench.stores.places import Model, Place, claim, fetched_by_curl, served, timed, written
from bench.stores.results import Killed, Rate, Start, Stores, report
from cluster.paths import LOCAL

MARKS = ("<!-- stores:begin -->", "<!-- stores:end -->")
SERVER = Path(sys.executable).with_name("modelwright-serving")
START_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Size:
    """Of a run: the bytes of the model, rounds of rates and of starts, and kills."""

    model: int
    rounds: int
    starts: int
    kills: int


FULL = Size(10**9, 7, 9, 6)
QUICK = Size(10**8, 3, 3, 2)


def rates(places: Sequence[Place], model: Model, work: Path, rounds: int) -> list[Rate]:
    """curl and pull in turn, place by place, round by round."""
    found = {
        place.name: Rate(
            store=place.name, size=model.size, discarded=[], written=[], pulled=[], cpu=[], mib=[]
        )
        for place in places
    }
    for _ in range(rounds):
        for place in places:
            rate = found[place.name]
            rate.discarded.append(fetched_by_curl(place, model, Path(os.devnull)).seconds)
            rate.written.append(fetched_by_curl(place, model, work / "by-curl").seconds)
            (work / "by-curl").unlink()
            to = work / "model"
            to.mkdir()
            cost = timed(place.command(model, to), place.environ)
            shutil.rmtree(to)
            rate.pulled.append(cost.seconds)
            rate.cpu.append(cost.cpu)
            rate.mib.append(cost.mib)
            say(f"{place.name}: pull {cost.seconds:.2f} s, {cost.mib:.0f} MiB, curl {rate.written[-1]:.2f} s")
    return list(found.values())


def killed(place: Place, model: Model, work: Path, kills: int) -> Killed:
    """Pull through the relay, killed at random bytes, until it is through."""
    assert place.relay is not None
    behind = _through_relay(place)
    to = work / "model"
    to.mkdir()
    partial = to / ".pull" / "model.onnx.partial"
    before, reached = place.relay.back, []
    for share in sorted(random.random() for _ in range(kills)):
        with subprocess.Popen(behind.command(model, to), env=behind.environ) as process:
            while _size(partial) < share * model.size and process.poll() is None:
                time.sleep(0.002)
            process.kill()
        reached.append(_size(partial))
    timed(behind.command(model, to), behind.environ)
    shutil.rmtree(to)
    say(f"{place.name}: killed {kills} times, {(place.relay.back - before) / model.size:.3f} x the bytes")
    return Killed(store=place.name, size=model.size, reached=reached, crossed=place.relay.back - before)


def _through_relay(place: Place) -> Place:
    assert place.relay is not None
    old, new = f":{place.relay.behind}", f":{place.relay.port}"
    document = {**(place.document or {})}
    entry = dict(document["stores"]["artifacts"])
    if "endpoint" in entry:
        entry["endpoint"] = entry["endpoint"].replace(old, new)
    return dataclasses.replace(
        place, uri=place.uri.replace(old, new), document={**document, "stores": {"artifacts": entry}}
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def starts(places: Sequence[Place], model: Model, work: Path, rounds: int) -> list[Start]:
    """A serving pod's two containers one after the other, place by place, round by round."""
    found = {place.name: Start(place=place.name, pulled=[], served=[]) for place in places}
    for _ in range(rounds):
        for place in places:
            to = work / "model"
            to.mkdir()
            found[place.name].pulled.append(timed(place.command(model, to), place.environ).seconds)
            found[place.name].served.append(_ready_seconds(to / "model.onnx"))
            shutil.rmtree(to)
    return list(found.values())


def _ready_seconds(model: Path) -> float:
    """From exec of the server to its first `ready`."""
    ports = [_free_port() for _ in range(3)]
    options = [f"--{name}-port={port}" for name, port in zip(("http", "grpc", "admin"), ports, strict=True)]
    command = [str(SERVER), "--model", str(model), "--name", "small", *options]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not _is_ready(ports[2]):
                if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                    raise BenchError("the server does not start")
                time.sleep(0.002)
            return time.perf_counter() - began
        finally:
            process.kill()


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(12).endswith(b"200")
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def measure(size: Size, quick: bool, work: Path) -> Stores:
    """Everything."""
    here, began = machine(), datetime.now(UTC)
    folder = work / "models"
    folder.mkdir()
    small = logistic_regression(folder).path
    small_model = Model(
        small.name, f"sha256:{hashlib.sha256(small.read_bytes()).hexdigest()}", small.stat().st_size
    )
    large = written(folder / "large.onnx", size.model)
    with served(folder, work) as places:
        return Stores(
            date=f"{began:%Y-%m-%d %H:%M} UTC",
            commit=commit(),
            quick=quick,
            machine=here,
            rates=rates(places, large, work, size.rounds),
            killed=[killed(place, large, work, size.kills) for place in places],
            starts=starts([claim(folder), *places], small_model, work, size.starts),
            image=image(),
        )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.stores", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size; not to be quoted")
    parser.add_argument(
        "--work", type=Path, help="a folder for the models (3 GB), on the disk to measure with"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        found = measure(QUICK if options.quick else FULL, options.quick, Path(work))
    if not options.quick:
        folder = LOCAL / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stores.json").write_text(found.model_dump_json(indent=1))
        DOCUMENT.write_text(placed(DOCUMENT.read_text(), report(found), MARKS))
    sys.stdout.write(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
