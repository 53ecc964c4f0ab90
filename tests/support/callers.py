"""Real clients that keep calling one served model, as a program of its own; prints what they saw as JSON lines.

Each kind of client meets a restart in its own way: one keeps its connection, one opens a new one for each request,
one multiplexes over HTTP/2. None tries again: a request that gets no answer is lost.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np

# By name: it has no types.
triton = import_module("tritonclient.grpc")

CLIENTS_OF_A_KIND = 2
PATIENCE_SECONDS = 10.0


@dataclass
class Target:
    """Where to call, and what to send; `body` may change under way."""

    host: str
    http_port: int
    grpc_port: int
    model: str
    body: dict[str, Any]
    authority: str | None = None  # what to ask for by name, where the host is an address
    pause: float = 0.02  # of each client after each request

    @property
    def path(self) -> str:
        """Of inference over HTTP."""
        return f"/v2/models/{self.model}/infer"


@dataclass
class Seen:
    """Counts by kind of client; every failure is counted, the first ones are told.

    `slowest`: seconds of a request; `seconds`: of each that was answered since the last line.
    """

    kinds: list[str]
    answered: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, kind: str, seconds: float) -> None:
        """A request that was answered, and how long it took."""
        with self.lock:
            self.answered[kind] += 1
            self.slowest = max(self.slowest, seconds)
            self.seconds[kind].append(seconds)

    def failure(self, kind: str, error: Exception) -> None:
        """Keeps what went wrong, and when."""
        with self.lock:
            self.failed[kind] += 1
            if len(self.failures) < 10:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {kind}: {type(error).__name__}: {error}")

    def line(self) -> str:
        """The state so far, and the 99th percentile of the answers since the last line."""
        with self.lock:
            counts = {"answered": dict(self.answered), "failed": dict(self.failed)}
            slow = {kind: float(np.quantile(taken, 0.99)) for kind, taken in self.seconds.items() if taken}
            self.seconds.clear()
            told = {"failures": self.failures, "slowest": round(self.slowest, 3), "p99Seconds": slow}
            return json.dumps({"kinds": self.kinds, **counts, **told})


class WrongAnswerError(Exception):
    """An answer that is none."""


class Client(Protocol):
    """One caller."""

    def call(self) -> None:
        """Sends a request and takes its answer."""
        ...

    def reset(self) -> None:
        """Starts anew after a failure."""
        ...


class HttpClient:
    """Calls over HTTP/1.1, on a connection that it keeps or on a new one each time."""

    def __init__(self, target: Target, *, keep: bool) -> None:
        self._connection = http.client.HTTPConnection(target.host, target.http_port, timeout=PATIENCE_SECONDS)
        self._target, self._keep = target, keep
        self._headers = {"Host": target.authority} if target.authority else {}

    def call(self) -> None:
        """Sends a request and takes its answer."""
        body = json.dumps(self._target.body)
        self._connection.request("POST", self._target.path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if not self._keep:
            self._connection.close()
        if answer.status != 200 or not json.loads(content)["outputs"]:
            raise WrongAnswerError(f"{answer.status} {content[:200]!r}")

    def reset(self) -> None:
        """Starts anew after a failure."""
        self._connection.close()


class GrpcClient:
    """Calls over gRPC, whose library keeps a connection and moves to another one when told to."""

    def __init__(self, target: Target) -> None:
        asked = [("grpc.default_authority", target.authority)] if target.authority else None
        address = f"{target.host}:{target.grpc_port}"
        self._client = triton.InferenceServerClient(address, channel_args=asked)
        self._target = target

    def call(self) -> None:
        """Sends a request and takes its answer."""
        inputs = [_given(tensor) for tensor in self._target.body["inputs"]]
        answer = self._client.infer(self._target.model, inputs, client_timeout=PATIENCE_SECONDS)
        if not answer.get_response().outputs:
            raise WrongAnswerError("an answer without outputs")

    def reset(self) -> None:
        """The library starts anew by itself."""


def _given(tensor: dict[str, Any]) -> Any:
    given = triton.InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
    given.set_data_from_numpy(np.array(tensor["data"], np.float32).reshape(tensor["shape"]))
    return given


FAILURES = (OSError, http.client.HTTPException, WrongAnswerError, triton.InferenceServerException)


def keep_calling(kind: str, client: Client, seen: Seen, stop: threading.Event, pause: float) -> None:
    """Calls until told to stop."""
    while not stop.is_set():
        begun = time.monotonic()
        try:
            client.call()
        except FAILURES as error:
            seen.failure(kind, error)
            client.reset()
        else:
            seen.answer(kind, time.monotonic() - begun)
        time.sleep(pause)


def clients(target: Target) -> dict[str, Callable[[], Client]]:
    """What makes a client, by its kind."""
    return {
        "http, kept": lambda: HttpClient(target, keep=True),
        "http, new": lambda: HttpClient(target, keep=False),
        "grpc": lambda: GrpcClient(target),
    }


def await_service(kinds: dict[str, Callable[[], Client]]) -> None:
    """Until each kind of client has an answer, at most PATIENCE_SECONDS: a node hears of a new Service a moment after
    its pods are ready."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for make in kinds.values():
        client, answered = make(), False
        while not answered and time.monotonic() < deadline:
            with suppress(*FAILURES):
                client.call()
                answered = True
            client.reset()
            time.sleep(0.05)


def main() -> int:
    """Reads the target as one line of JSON, and calls it from its first answers on. Answers each further line with what
    was seen; ends with the input.

    A line that is not empty is what to send from then on.
    """
    target = Target(**json.loads(sys.stdin.readline()))
    kinds, stop = clients(target), threading.Event()
    await_service(kinds)
    seen = Seen(list(kinds))
    threads = [
        threading.Thread(target=keep_calling, args=(kind, make(), seen, stop, target.pause), daemon=True)
        for kind, make in kinds.items()
        for _ in range(CLIENTS_OF_A_KIND)
    ]
    for thread in threads:
        thread.start()
    for line in sys.stdin:
        if line.strip():
            target.body = json.loads(line)
        print(seen.line(), flush=True)
    stop.set()
    for thread in threads:
        thread.join()
    print(seen.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
