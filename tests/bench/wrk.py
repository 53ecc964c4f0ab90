"""HTTP load by wrk: a Lua script that rotates prepared requests, the run, and what it says.

Which requests, and at which server, is left to the callers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.generator import Outcome, generate

MARK = "outcome "
# Formats every request once; the run then only walks through them.
SCRIPT = """
local prepared, turn = {}, 0
function init()
%s
end
function request()
  turn = turn %% #prepared + 1
  return prepared[turn]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('outcome {"requests":%%d,"microseconds":%%d,"refused":%%d,"broken":%%d,'
    .. '"mean":%%.1f,"p50":%%d,"p99":%%d}\\n', summary.requests, summary.duration, e.status,
    e.connect + e.read + e.write + e.timeout, latency.mean, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Request:
    """One HTTP request."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"


def script(requests: Sequence[Request]) -> str:
    """The Lua program that sends these requests in turn."""
    return SCRIPT % "\n".join(
        f"  prepared[{number}] = wrk.format({_call(request)})" for number, request in enumerate(requests, 1)
    )


def parse(output: str) -> Outcome:
    """What our script reports at the end of wrk's own output."""
    line = next((line for line in output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        raise ValueError(f"wrk reported no outcome: {output[-500:]}")
    found: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return Outcome(
        requests=found["requests"],
        seconds=found["microseconds"] / 1e6,
        refused=found["refused"],
        broken=found["broken"],
        mean_us=found["mean"],
        p50_us=found["p50"],
        p99_us=found["p99"],
    )


@dataclass(frozen=True)
class Wrk:
    """wrk with a script, at one port."""

    program: Path
    port: int
    connections: int

    def run(self, seconds: int) -> Outcome:
        how = ["--threads=1", f"--connections={self.connections}", f"--duration={seconds}s"]
        url = f"http://127.0.0.1:{self.port}"
        return parse(generate(["wrk", *how, f"--script={self.program}", url], seconds))


def _call(request: Request) -> str:
    headers = ", ".join(
        f"[{_text(name.encode())}] = {_text(value.encode())}" for name, value in request.headers
    )
    parts = (
        _text(request.method.encode()),
        _text(request.path.encode()),
        f"{{{headers}}}",
        _text(request.body),
    )
    return ", ".join(parts)


def _text(content: bytes) -> str:
    """A Lua string of any bytes: whatever is not plain is written as its number."""
    plain = b"".join(bytes((byte,)) if _is_plain(byte) else b"\\%03d" % byte for byte in content)
    return f'"{plain.decode("ascii")}"'


def _is_plain(byte: int) -> bool:
    return 32 <= byte < 127 and byte not in b'"\\'
