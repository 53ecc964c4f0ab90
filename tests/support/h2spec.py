"""h2spec, the conformance tests for HTTP/2: built from its Go module once per machine."""

import fcntl
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster import paths, programs

_PACKAGE = "github.com/summerwind/h2spec/cmd/h2spec"
_VERSION = "v2.2.1+incompatible"
_TALLY = re.compile(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed")


@dataclass(frozen=True)
class Report:
    """What h2spec found; `text` names every test."""

    passed: int
    skipped: int
    failed: int
    text: str


def program() -> Path:
    """The program, after building it where it is missing; other processes wait for it meanwhile."""
    paths.CACHE.mkdir(parents=True, exist_ok=True)
    with (paths.CACHE / "h2spec.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return programs.installed(_PACKAGE, _VERSION) / "h2spec"


def check(port: int, *sections: str) -> Report:
    """Run the sections (all, if none is named) against a server on this machine."""
    command = [str(program()), "-h", "127.0.0.1", "-p", str(port), "-o", "10", *sections]
    text = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stdout
    tally = _TALLY.search(text)
    assert tally is not None, text
    _, passed, skipped, failed = map(int, tally.groups())
    return Report(passed, skipped, failed, text)
