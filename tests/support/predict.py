"""Sends one request to a served model, through the API server's port-forward as a user on a laptop does."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from support.kubectl import Kubectl


@contextmanager
def forwarded(kubectl: Kubectl, target: str, port: int) -> Iterator[int]:
    """A local port that leads to a port of a pod or Service."""
    command = kubectl.command("port-forward", target, f":{port}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, f"port-forward said {line!r}"
            yield int(found.group(1))
        finally:
            process.terminate()


def predict(kubectl: Kubectl, service: str, body: Any) -> tuple[Any, Mapping[str, str]]:
    """The answer and its headers."""
    with forwarded(kubectl, f"service/{service}", 80) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", f"/v2/models/{service}/infer", json.dumps(body))
        answer = connection.getresponse()
        content = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
    assert answer.status == 200, content
    return json.loads(content), headers


def rows(*values: list[float], columns: int | None = None) -> dict[str, Any]:
    """A request of one matrix."""
    width = columns or len(values[0])
    data = [number for row in values for number in row]
    return {"inputs": [{"name": "input", "shape": [len(values), width], "datatype": "FP32", "data": data}]}
