"""A stable server that follows a traffic rule, and revisions for it to delegate to, good ones and others."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from unit.serving.harness import NAME, Served, serving

REVISION = "next"
SECRET = "5" * 64
DIGEST = f"sha256:{'0' * 64}"
# Seconds that outlast any answer on a loaded machine: a test of another failure must not meet a timeout.
AMPLE = 60.0
Behaviour = Callable[[socketserver.StreamRequestHandler], None]


@dataclass
class Stable:
    """The server that callers know."""

    served: Served
    rule: Path

    def follow(self, **rule: Any) -> None:
        """Write a rule as a kubelet does, and wait until it holds."""
        self.write(written(rule))
        self.served.wait_for("traffic rule")

    def write(self, content: bytes) -> None:
        new = self.rule.with_suffix(".new")
        new.write_bytes(content)
        new.replace(self.rule)

    def forget(self) -> None:
        """No rule any more."""
        self.rule.unlink(missing_ok=True)
        self.served.wait_for("traffic rule")

    def outcomes(self, revision: str = REVISION) -> dict[str, int]:
        """What came of the delegated requests so far, where it happened at all."""
        return self._counted("modelwright_delegated_requests_total", revision=revision)

    def wait_for_outcomes(self, expected: dict[str, int]) -> None:
        """Waits until these have come; the test's time limit ends it."""
        while self.outcomes() != expected:
            pass

    def copied(self, revision: str = REVISION) -> dict[str, int]:
        """The same for copied requests."""
        return self._counted("modelwright_shadow_requests_total", revision=revision)

    def uncompared(self, revision: str = REVISION) -> dict[str, int]:
        """Why copied requests were not compared, or not in full."""
        return self._counted("modelwright_shadow_uncompared_total", "reason", revision)

    def _counted(self, name: str, label: str = "outcome", revision: str = REVISION) -> dict[str, int]:
        text = self.served.call("GET", "/metrics", port=self.served.admin_port).body.decode()
        lines = (
            line for line in text.splitlines() if line.startswith(f"{name}{{") and f'"{revision}"' in line
        )
        counted = {line.split(f'{label}="')[1].split('"')[0]: int(float(line.split()[-1])) for line in lines}
        return {value: count for value, count in counted.items() if count}


def unseen(served: Served) -> dict[tuple[str, str], int]:
    """How many answers of a server no caller got, by protocol and code; the same as its histogram has."""
    text = served.call("GET", "/metrics", port=served.admin_port).body.decode()
    found = {
        (sample.labels["protocol"], sample.labels["code"]): int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "modelwright_unseen_requests_total" and sample.value
    }
    assert sum(found.values()) == sum(
        served.metric(
            f'modelwright_unseen_request_duration_seconds_count{{model="{NAME}",protocol="{protocol}"'
        )
        for protocol in ("http", "grpc")
    )
    return found


def written(rule: dict[str, Any]) -> bytes:
    """The rule as a file holds it, with what most tests have in common."""
    document = {"revision": REVISION, "host": "127.0.0.1", "timeoutSeconds": AMPLE, **rule}
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


@contextmanager
def stable(model: Path, *options: str, **rule: Any) -> Iterator[Stable]:
    """The stable server; with a rule from its first request on, if one is given."""
    path = Path(tempfile.mkdtemp(dir=model.parent)) / "traffic.json"
    if rule:
        path.write_bytes(written(rule))
    newer = path.with_name("rule.json")
    with serving(
        model, "--model-version", "1", "--traffic", str(newer), "--traffic", str(path), *options
    ) as served:
        yield Stable(served.wait_ready(), path)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


@contextmanager
def canary(behaviour: Behaviour) -> Iterator[int]:
    """A revision with a behaviour for every connection; gives its port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            behaviour(self)

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def read_request(handler: socketserver.StreamRequestHandler) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the next request; ConnectionError if there is none."""
    if not handler.rfile.readline():
        raise ConnectionError
    headers = {}
    while (line := handler.rfile.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(": ")
        headers[name.lower()] = value
    return headers, handler.rfile.read(int(headers["content-length"]))


def answers(
    status: str,
    body: bytes = b'{"error":"no"}',
    kind: str = "application/json",
    digest: str = DIGEST,
    seen: list[dict[str, str]] | None = None,
) -> Behaviour:
    """Gives the same answer to every request, whose headers are added to `seen`."""
    length = len(body)
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nmodelwright-model-digest: {digest}\r\n"
    content = f"{head}content-length: {length}\r\n\r\n".encode() + body

    def behave(handler: socketserver.StreamRequestHandler) -> None:
        try:
            while True:
                headers, _ = read_request(handler)
                if seen is not None:
                    seen.append(headers)
                handler.wfile.write(content)
        except ConnectionError:
            return

    return behave


def hangs(handler: socketserver.StreamRequestHandler) -> None:
    """Reads, and says nothing."""
    handler.rfile.read()


def breaks_off(handler: socketserver.StreamRequestHandler) -> None:
    """Ends in the middle of its answer."""
    read_request(handler)
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")


def waits(until: threading.Event, behaviour: Behaviour) -> Behaviour:
    """Behaves so, but not before `until`."""

    def behave(handler: socketserver.StreamRequestHandler) -> None:
        until.wait()
        behaviour(handler)

    return behave


def talks_nonsense(handler: socketserver.StreamRequestHandler) -> None:
    """Speaks another protocol."""
    read_request(handler)
    handler.wfile.write(b"220 mail.example.org ready\r\n")
