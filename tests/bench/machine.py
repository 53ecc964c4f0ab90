"""Where the bench ran, with which versions, and how busy others kept the machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from bench import proc
from bench.results import Machine
from cluster.paths import REPOSITORY
from peers.environments import REQUIREMENTS

OUR_PARTS = ("onnxruntime", "numpy", "orjson", "uvloop", "httptools")
PEERS = {"fastapi": ("fastapi", "uvicorn", "pydantic"), "mlserver": ("mlserver",), "kserve": ("kserve",)}


def machine() -> Machine:
    """This machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=_processor(Path("/proc/cpuinfo").read_text()),
        cores=os.cpu_count() or 1,
        memory_gib=round(memory / 2**30),
        kernel=platform.release(),
        python=platform.python_version(),
        versions=_versions(),
        busy_before=busy(2.0),
    )


def busy(seconds: float) -> float:
    """Share of all cores that is used while we wait."""
    used, every = proc.busy_ticks()
    time.sleep(seconds)
    used_now, every_now = proc.busy_ticks()
    return (used_now - used) / max(every_now - every, 1)


def commit(tree: Path = REPOSITORY) -> str:
    """The commit of a checkout, marked where its code differs from it."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def pinned(requirements: str, package: str) -> str:
    """The version that a list of requirements asks for."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", requirements, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else "unknown"


def _versions() -> dict[str, str]:
    peers = {
        package: pinned((REQUIREMENTS / f"{peer}.txt").read_text(), package)
        for peer, packages in PEERS.items()
        for package in packages
    }
    return {package: version(package) for package in OUR_PARTS} | peers | _generators()


def _generators() -> dict[str, str]:
    """Of those that are installed; wrk prints its version with its usage and ends with 1."""
    found = {}
    for program, flag in (("wrk", "-v"), ("h2load", "--version")):
        if shutil.which(program) is None:
            continue
        done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
        number = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
        found[program] = number[0] if number else "unknown"
    return found


def _processor(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    return found[1] if found else platform.machine()
