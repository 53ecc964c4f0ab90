"""Where the bench has its models: a claim, an S3 server, a web server; and what reads the same bytes beside pull."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from bench.generator import BenchError
from bench.stores.relay import Relay, relayed
from obstore.store import S3Store
from support.stores.certificates import certificates
from support.stores.s3 import REGION, Gateway, gateway

PULL = Path(sys.executable).with_name("modelwright-pull")
FILES, COST = (Path(__file__).with_name(name) for name in ("files_over_tls.py", "cost.py"))
BUCKET = "models"


@dataclass(frozen=True)
class Model:
    """A file that is pulled."""

    name: str
    digest: str
    size: int


@dataclass(frozen=True)
class Place:
    """Somewhere a model lies: what pull is given to read it, and what curl is. `relay` may be in front."""

    name: str
    uri: str
    options: tuple[str, ...]
    document: dict[str, Any] | None
    curl: Callable[[str], list[str]]
    relay: Relay | None = None

    @property
    def environ(self) -> dict[str, str]:
        given = {} if self.document is None else {"MODELWRIGHT_STORES": json.dumps(self.document)}
        return {**os.environ, **given}

    def command(self, model: Model, to: Path) -> list[str]:
        """How pull is started."""
        uri = f"{self.uri}/{model.name}"
        return [str(PULL), "--uri", uri, "--digest", model.digest, "--to", str(to), *self.options]


@dataclass(frozen=True)
class Cost:
    """Of a process: wall and CPU seconds, and the largest resident memory in MiB."""

    seconds: float
    cpu: float
    mib: float


def timed(command: list[str], environ: dict[str, str]) -> Cost:
    """Run a process to its end. BenchError if it fails."""
    launched = [sys.executable, "-SE", str(COST), *command]
    done = subprocess.run(launched, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{command[0]} ended with {done.returncode}")
    seconds, cpu, kib = map(float, done.stdout.split())
    return Cost(seconds, cpu, kib / 1024)


def fetched_by_curl(place: Place, model: Model, to: Path) -> Cost:
    """The same bytes by curl, into a file."""
    command = ["curl", "--silent", "--fail", "--noproxy", "*", "--output", str(to), *place.curl(model.name)]
    return timed(command, dict(os.environ))


def written(path: Path, size: int) -> Model:
    """A file of random bytes."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, 1 << 22):
            piece = os.urandom(min(1 << 22, size - start))
            digest.update(piece)
            file.write(piece)
    return Model(path.name, f"sha256:{digest.hexdigest()}", size)


def claim(folder: Path) -> Place:
    """A folder that is mounted."""
    return Place("a claim", "pvc://models", ("--source-root", str(folder)), None, lambda name: [name])


@contextmanager
def served(folder: Path, work: Path) -> Iterator[tuple[Place, Place]]:
    """The files of a folder over S3 and over https, each behind a relay that counts."""
    with ExitStack() as stack:
        yield stack.enter_context(_s3(folder, work)), stack.enter_context(_https(folder, work))


@contextmanager
def _s3(folder: Path, work: Path) -> Iterator[Place]:
    root = work / "s3"
    secret = root / "etc/modelwright/stores/artifacts/secret"
    secret.mkdir(parents=True)
    with gateway(work / "gateway") as running, relayed(running.program.port) as relay:
        for path in folder.iterdir():
            shutil.copy(path, running.bucket(BUCKET) / path.name)
        for key, value in running.keys.secret_data().items():
            (secret / key).write_text(value)
        entry = {
            "field": "artifact.store",
            "secret": "lake",
            "endpoint": running.endpoint,
            "region": REGION,
            "trusted": True,
        }
        yield Place(
            "s3",
            f"s3://{BUCKET}",
            ("--root", str(root)),
            {"stores": {"artifacts": entry}},
            lambda name: [_signed(running, name)],
            relay,
        )


def _signed(running: Gateway, name: str) -> str:
    """A url that carries its own credentials, for curl."""
    store = S3Store(
        BUCKET,
        endpoint=running.endpoint,
        region=REGION,
        access_key_id=running.keys.access,
        secret_access_key=running.keys.secret,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    return obstore.sign(store, "GET", name, timedelta(hours=6))


@contextmanager
def _https(folder: Path, work: Path) -> Iterator[Place]:
    made = certificates(work / "certificates", "127.0.0.1")
    root = work / "https"
    mounted = root / "etc/modelwright/stores/artifacts"
    mounted.mkdir(parents=True)
    shutil.copy(made.ca, mounted / "ca.crt")
    command = [sys.executable, str(FILES), str(folder), str(made.certificate), str(made.key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            with relayed(port) as relay:
                entry = {"field": "artifact.store", "authority": "ca.crt of ConfigMap ca"}
                yield Place(
                    "https",
                    f"https://127.0.0.1:{port}",
                    ("--root", str(root)),
                    {"networks": ["127.0.0.0/8"], "stores": {"artifacts": entry}},
                    lambda name: ["--cacert", str(made.ca), f"https://127.0.0.1:{port}/{name}"],
                    relay,
                )
        finally:
            server.kill()
