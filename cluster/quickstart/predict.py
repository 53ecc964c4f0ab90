"""Asks the served model through a port-forward to its Service, as a person at a desk would."""

from __future__ import annotations

import http.client
import json
import re
import selectors
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from cluster.quickstart.target import Target
from cluster.shell import StepError

Object = dict[str, Any]
SECONDS = 30
MAX_BYTES = 1024 * 1024
FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
DIGEST_HEADER = "modelwright-model-digest"


@dataclass(frozen=True)
class Answer:
    """What the server answered, and the digest of the model that it says it was."""

    body: Object
    digest: str | None


@contextmanager
def forwarded(target: Target, namespace: str, service: str) -> Iterator[int]:
    """The local port that leads to the service."""
    command = [
        *target.kubectl_command,
        "-n",
        namespace,
        "port-forward",
        "--address=127.0.0.1",
        f"service/{service}",
        ":80",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield _port(cast("IO[str]", process.stdout))
    finally:
        process.terminate()
        process.wait(timeout=10)


def _port(output: IO[str]) -> int:
    """The port that kubectl says it listens on."""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        said = output.readline() if selector.select(SECONDS) else ""
    found = FORWARDING.search(said)
    if found is None:
        raise StepError(f"kubectl port-forward does not forward: {said.strip() or 'no answer'}")
    return int(found[1])


def ask(port: int, model: str, request: Path) -> Answer:
    """The answer to a request in the Open Inference Protocol V2."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    headers = {"content-type": "application/json"}
    try:
        connection.request("POST", f"/v2/models/{model}/infer", request.read_bytes(), headers)
        response = connection.getresponse()
        body = response.read(MAX_BYTES)
    except (OSError, http.client.HTTPException) as broken:
        raise StepError(f"no answer through the port-forward: {broken}") from broken
    finally:
        connection.close()
    if response.status != http.client.OK:
        said = body[:2000].decode(errors="replace")
        raise StepError(f"the model answers {response.status} to {request.name}: {said}")
    return Answer(json.loads(body), response.headers.get(DIGEST_HEADER))
