"""A real Prometheus and promtool, for tests: those on PATH, else Debian's, unpacked once into the cache; and the CRDs
of the Prometheus Operator."""

import fcntl
import shutil
from pathlib import Path

from cluster.packages import unpack
from cluster.paths import CACHE
from cluster.programs import prometheus_operator

PACKAGE = "prometheus"


def install() -> None:
    """Leave them in the caches, programs unless they are on PATH; one process at a time does."""
    program("prometheus")
    program("promtool")
    definitions()


def definitions() -> Path:
    """The folder with the CRDs of the Prometheus Operator, one in each file, named GROUP_PLURAL.yaml."""
    return prometheus_operator()


def program(name: str) -> Path:
    """The program `prometheus` or `promtool`. StepError if it is nowhere to be had."""
    found = shutil.which(name)
    if found:
        return Path(found)
    folder = CACHE / PACKAGE
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{PACKAGE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unpack(PACKAGE, folder)
    return folder / "usr/bin" / name
