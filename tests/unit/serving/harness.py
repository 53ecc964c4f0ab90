"""The real server as a process of its own, and clients that see every byte."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

NAME = "churn"
INFER = f"/v2/models/{NAME}/infer"
# The metric of requests that met a bound, by its reason.
REFUSED = f'modelwright_requests_refused_total{{model="{NAME}",reason="%s"'
PATIENCE = 20.0
ENDING = 40.0


@dataclass
class Reply:
    """A response as the wire had it; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The message of an error document, which has nothing else in it."""
        document = self.document
        assert list(document) == ["error"], document
        assert self.headers["content-type"] == "application/json"
        return str(document["error"])

    def output(self, name: str) -> npt.NDArray[Any]:
        found = next(output for output in self.document["outputs"] if output["name"] == name)
        return np.array(found["data"]).reshape(found["shape"])


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[bytes]
    http_port: int
    admin_port: int
    grpc_port: int
    events: list[dict[str, Any]] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None, *, port: int = 0, **headers: str) -> Reply:
        """One request over a connection of its own; a body that is not bytes is sent as JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", port or self.http_port, timeout=PATIENCE)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, content, names)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Reply:
        return self.call("GET", path)

    def infer(self, body: Any, **headers: str) -> Reply:
        return self.call("POST", INFER, body, port=self.http_port, **headers)

    def metric(self, sample: str) -> float:
        text = self.call("GET", "/metrics", port=self.admin_port).body.decode()
        return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(sample)), 0.0)

    def raw(self) -> "Wire":
        return Wire(self.http_port)

    def wait_ready(self) -> Self:
        self.wait_for("ready")
        return self

    def wait_for(self, event: str) -> dict[str, Any]:
        """Read what the server says until it says this."""
        while True:
            line = _line(self.process)
            found: dict[str, Any] = json.loads(line)
            self.events.append(found)
            if found["event"] == event:
                return found

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """The exit code. The server's own limit for its end is 25 seconds; one that does not end says what it does."""
        try:
            return self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(PATIENCE)
            assert self.process.stdout is not None
            assert self.process.stderr is not None
            said = self.process.stdout.read().decode()
            trace = self.process.stderr.read().decode()
            raise AssertionError(f"it does not end: {trace}\nIts last events: {said}") from None


class Wire:
    """A connection on which the test writes and reads bytes itself."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self, *, head_only: bool = False) -> Reply:
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server closed the connection instead of answering")
        headers: dict[str, str] = {}
        while (header := self._file.readline().strip()) != b"":
            name, _, value = header.decode().partition(": ")
            headers[name.lower()] = value
        size = 0 if head_only else int(headers.get("content-length", "0"))
        return Reply(int(line.split()[1]), headers, self._file.read(size))

    def closed_by_server(self) -> bool:
        """Whether the server ends the connection in order: no byte, no reset."""
        return self._file.read(1) == b""


def post(body: bytes, path: str = INFER, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def matrix(rows: npt.NDArray[Any], name: str = "X", **more: Any) -> dict[str, Any]:
    """An inference request for one matrix of 32-bit floats."""
    tensor = {"name": name, "datatype": "FP32", "shape": list(rows.shape), "data": rows.ravel().tolist()}
    return {"inputs": [tensor], **more}


@contextmanager
def serving(model: Path, *options: str, **environment: str) -> Iterator[Served]:
    """The server on ports of its own choice, as soon as it listens; ended when the test leaves."""
    process = start(model, *options, **environment)
    try:
        listening = json.loads(_line(process))
        assert listening["event"] == "listening"
        yield Served(process, listening["http_port"], listening["admin_port"], listening["grpc_port"])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        assert process.stderr is not None
        complaints = process.stderr.read().decode()
        process.stdout.close()
        process.stderr.close()
    assert "Traceback" not in complaints, complaints


def start(model: Path, *options: str, **environment: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "modelwright_serving.main", *arguments(model, *options)]
    # What is to end and does not shows where each of its threads is.
    variables = {**os.environ, "PYTHONFAULTHANDLER": "1", **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables)


def arguments(model: Path, *options: str) -> list[str]:
    return [
        *(
            "--model",
            str(model),
            "--name",
            NAME,
            "--host",
            "127.0.0.1",
            "--http-port",
            "0",
            "--grpc-port",
            "0",
            "--admin-port",
            "0",
        ),
        *("--termination-log", str(model.parent / "termination-log"), *options),
    ]


def _line(process: "subprocess.Popen[bytes]") -> bytes:
    """The next line of standard output; a server that stays silent for long fails the test."""
    assert process.stdout is not None
    line = b""
    deadline = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            assert selector.select(deadline - time.monotonic()), "the server said nothing"
            byte = os.read(process.stdout.fileno(), 1)
            assert byte, "the server ended"
            line += byte
    return line
