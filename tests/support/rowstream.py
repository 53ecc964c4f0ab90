"""Rows of a distribution, sent to a served model from this host; every answer and every failure is counted."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]
Draw = Callable[[int], Rows]

PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    """What came back for some rows: their labels, their tokens if asked for, and the track that answered."""

    labels: list[Any]
    tokens: list[str]
    track: str


class Caller:
    """One caller of a model whose input is one matrix; it keeps its connection."""

    def __init__(self, address: str, model: str) -> None:
        self._path = f"/v2/models/{model}"
        self._connection = http.client.HTTPConnection(address, 80, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, rows: Rows, *, tokens: bool = False) -> Answer:
        """Sends rows; OSError, HTTPException or AssertionError without a proper answer."""
        data = {"name": "input", "datatype": "FP32", "shape": list(rows.shape), "data": rows.tolist()}
        document: dict[str, Any] = {"inputs": [data]}
        if tokens:
            document["parameters"] = {"prediction_tokens": True}
        answer, track = self._post("/infer", document)
        given = answer.get("parameters", {}).get("prediction_tokens", [])
        return Answer(answer["outputs"][0]["data"], given, track)

    def label(self, tokens: Sequence[str], truth: Sequence[Any]) -> dict[str, int]:
        """Sends labels back; how many counted, and how many did not."""
        counts: dict[str, int] = self._post("/feedback", {"tokens": list(tokens), "truth": list(truth)})[0]
        return counts

    def close(self) -> None:
        """Ends the connection; the next request opens another."""
        self._connection.close()

    def _post(self, path: str, document: object) -> tuple[Any, str]:
        self._connection.request("POST", self._path + path, json.dumps(document))
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, f"{answer.status} {content[:300]!r}"
        return json.loads(content), answer.getheader("modelwright-track", "")


class Stream:
    """A caller that keeps sending, in a thread: `size` rows each `pause` seconds. `draw` may be changed under way."""

    def __init__(self, address: str, model: str, draw: Draw, *, size: int = 25, pause: float = 0.25) -> None:
        self.draw = draw
        self.rows = 0
        self.failures: list[str] = []
        self._caller = Caller(address, model)
        self._size, self._pause = size, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the request that is under way."""
        self._over.set()
        self._thread.join()
        self._caller.close()

    def _run(self) -> None:
        while not self._over.is_set():
            due = time.monotonic() + self._pause
            try:
                self._caller.ask(self.draw(self._size))
                self.rows += self._size
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {error!r}")
                self._caller.close()
            self._over.wait(max(0.0, due - time.monotonic()))


def reachable(address: str, within: float = 30) -> str:
    """Waits until an address takes connections, without a request: a node hears of a new Service a moment late."""
    deadline = time.monotonic() + within
    while True:
        try:
            socket.create_connection((address, 80), timeout=2).close()
        except OSError:
            assert time.monotonic() < deadline, f"{address} takes no connection within {within} s"
            time.sleep(0.2)
        else:
            return address


@contextmanager
def streaming(address: str, model: str, draw: Draw, **more: Any) -> Iterator[Stream]:
    """A stream until the test leaves."""
    stream = Stream(address, model, draw, **more)
    try:
        yield stream
    finally:
        stream.stop()


def next_window(seconds: int, least: float) -> int:
    """Waits until a window has at least so many seconds left, and gives its number. Windows follow the clock."""
    now = time.time()
    if seconds - now % seconds < least + 0.5:
        time.sleep(seconds - now % seconds)
    time.sleep(0.5)
    return int(time.time() // seconds)
