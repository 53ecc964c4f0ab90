"""Virtual environments of the peers: built once from pinned lists, kept in the user's cache, safe to ask for at once.

Which programs run in them is left to `running` and to the tests.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
NAMES = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt")))
BUILD_SECONDS = 580
COMPLETE = ".complete"


def environment(name: str) -> Path:
    """The environment of a peer, built if there is none for these requirements yet; its Python is bin/python."""
    path = _location(name)
    if (path / COMPLETE).exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_suffix(".lock")):
        if not (path / COMPLETE).exists():
            _build(path, REQUIREMENTS / f"{name}.txt")
    return path


def python(name: str) -> Path:
    return environment(name) / "bin" / "python"


def version(name: str, package: str) -> str:
    """The version of a package that a peer's requirements pin."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    return pinned[package]


def build_all() -> None:
    """Build what is missing, two at a time: each waits half of its time for the network."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(environment, NAMES))


def _location(name: str) -> Path:
    """A folder named after the requirements and the Python, so a change of either builds anew."""
    if name not in NAMES:
        raise ValueError(f"there is no peer {name!r}; there are {', '.join(NAMES)}")
    content = (REQUIREMENTS / f"{name}.txt").read_bytes() + sys.version.encode()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "modelwright" / "peers" / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"


def _build(path: Path, requirements: Path) -> None:
    """Install without a pip inside: the one that runs these tests does it."""
    shutil.rmtree(path, ignore_errors=True)
    venv.create(path, with_pip=False, symlinks=True)
    command = [sys.executable, "-m", "pip", "--python", str(path / "bin" / "python"), "install"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    subprocess.run([*command, *quiet, "--requirement", str(requirements)], check=True, timeout=BUILD_SECONDS)
    (path / COMPLETE).touch()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    build_all()
