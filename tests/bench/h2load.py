"""gRPC load by h2load: one prepared message on every connection, and what h2load says about it.

h2load sends one body only, so nothing rotates here. It sees HTTP's status, which gRPC leaves at 200 for errors
as well: the size of the answers tells them apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench.generator import Outcome, generate

METHOD = "/inference.GRPCInferenceService/ModelInfer"
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}
_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s),")
_REQUESTS = re.compile(
    r"requests: .*?(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout"
)
_DATA = re.compile(r"traffic: .*\((\d+)\) data")
_TIMES = re.compile(r"time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)")


def parse(output: str) -> Outcome:
    """h2load's summary."""
    found = [pattern.search(output) for pattern in (_FINISHED, _REQUESTS, _DATA, _TIMES)]
    if not all(found):
        raise ValueError(f"h2load reported no outcome: {output[-500:]}")
    finished, requests, data, times = (match for match in found if match)
    done, succeeded, failed, errored, late = map(int, requests.groups())
    return Outcome(
        requests=succeeded,
        seconds=float(finished[1]) * UNITS[finished[2]] / 1e6,
        refused=max(failed - errored - late, 0),
        broken=errored + late,
        mean_us=float(times[1]) * UNITS[times[2]],
        bytes_per_answer=int(data[1]) / done if done else 0.0,
    )


@dataclass(frozen=True)
class H2Load:
    """h2load with one gRPC message (with its five bytes in front), one call at a time on each connection."""

    message: Path
    port: int
    connections: int

    def run(self, seconds: int) -> Outcome:
        how = ["--threads=1", "--max-concurrent-streams=1", f"--clients={self.connections}"]
        what = [f"--data={self.message}", "--header=content-type: application/grpc", "--header=te: trailers"]
        url = f"http://127.0.0.1:{self.port}{METHOD}"
        return parse(generate(["h2load", *how, f"--duration={seconds}", *what, url], seconds))
