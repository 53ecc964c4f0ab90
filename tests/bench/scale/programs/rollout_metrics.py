"""Answers for the servers of many pods: at the address of each, with the metrics that it would have by then.

Arguments: a file with the pods by address, each with its revision and its service's canary, and the port. Only this
host reaches it. The expositions are rendered by the server's own code.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
from pathlib import Path

from modelwright_serving import rollout_view
from modelwright_serving.metrics import Metrics
from modelwright_serving.traffic.compare import Comparison
from modelwright_serving.traffic.counts import CopyOutcome, Outcome

# Of each pod: requests per second, median seconds of a request, and the spread of their logarithm.
RATE, MEDIAN, SPREAD = 20.0, 0.005, 0.5
# Shares of a stable pod's requests, and the median difference of two answers that are compared.
DELEGATED, MIRRORED, DIFFERENCE = 0.3, 0.1, 0.001
# What a pod has behind it when it is asked first.
HISTORY_SECONDS = 20
LOOPBACK = b"lo"


class Pod:
    """The metrics of one server under a steady load; a stable one delegates some of its requests."""

    def __init__(self, revision: str, canary: str) -> None:
        self._metrics = Metrics("model", revision)
        self._canary = canary if canary != revision else None
        self._counted = time.monotonic() - HISTORY_SECONDS
        self._random = random.Random(revision)
        self.exposition()

    def exposition(self) -> bytes:
        """Everything up to now."""
        due = int((time.monotonic() - self._counted) * RATE)
        self._counted += due / RATE
        for _ in range(due):
            self._request(self._random.lognormvariate(0, SPREAD) * MEDIAN)
        return rollout_view.render(self._metrics)

    def _request(self, seconds: float) -> None:
        """Counts one request: delegated, or answered and perhaps compared with the canary's answer."""
        chance = self._random.random()
        counts = self._metrics.traffic.revision(self._canary) if self._canary is not None else None
        if counts is not None and chance < DELEGATED:
            counts.outcomes[Outcome.ANSWERED] += 1
            counts.durations.observe(seconds)
            return
        self._metrics.http.in_flight += 1
        self._metrics.http.done(200, seconds)
        if counts is not None and chance > 1 - MIRRORED:
            counts.copied[CopyOutcome.COMPARED] += 1
            difference = self._random.lognormvariate(0, 1) * DIFFERENCE
            counts.add(Comparison(labels=1, agreeing=int(difference < 1), numbers=2, difference=difference))


class Connection(asyncio.Protocol):
    """A connection to one of the pods: one question at a time, each in one packet."""

    def __init__(self, pods: dict[str, Pod]) -> None:
        self._pods = pods

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._pod = self._pods.get(transport.get_extra_info("sockname")[0])

    def data_received(self, data: bytes) -> None:
        if self._pod is None:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        body = self._pod.exposition()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def main(pods: dict[str, Pod], port: int) -> None:
    """Listens at every address of this host's loopback, and at no other one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, LOOPBACK)
    listener.bind(("", port))
    server = await asyncio.get_running_loop().create_server(lambda: Connection(pods), sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    pods = json.loads(Path(sys.argv[1]).read_text())
    found = {address: Pod(each["revision"], each["canary"]) for address, each in pods.items()}
    asyncio.run(main(found, int(sys.argv[2])))
