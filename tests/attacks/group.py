"""A control group (version 1 or 2) that limits a server's memory as its pod's does; none where none may be made."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

NAME = "modelwright-attacks-"
TOPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
# For version 2 and version 1, whichever there is.
LIMIT = ("memory.max", "memory.limit_in_bytes")
SWAP = ("memory.swap.max",)
PEAK = ("memory.peak", "memory.max_usage_in_bytes")


class MemoryGroup:
    """Processes that join it are killed when they together take more than the limit, in bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def made(cls, limit: int) -> MemoryGroup | None:
        """A new group, or None where this user, this kernel or this container allows none."""
        for top in TOPS:
            _remove_abandoned(top)
            folder = top / f"{NAME}{os.getpid()}"
            try:
                folder.mkdir()
            except OSError:
                continue
            group = cls(folder)
            if group._write(LIMIT, limit):
                group._write(SWAP, 0)
                return group
            group.remove()
        return None

    @property
    def joined(self) -> Path:
        """The file that a process writes its id into to join."""
        return self.folder / "cgroup.procs"

    def peak_mib(self) -> float:
        """The most that it has taken, the kernel's buffers for sockets included."""
        return int(self._read(PEAK).strip() or 0) / 2**20

    def remove(self) -> None:
        """Once its processes have ended."""
        for _ in range(100):
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.02)

    def _read(self, names: tuple[str, ...]) -> str:
        found = next((self.folder / name for name in names if (self.folder / name).exists()), None)
        return found.read_text() if found else ""

    def _write(self, names: tuple[str, ...], value: int) -> bool:
        found = next((self.folder / name for name in names if (self.folder / name).exists()), None)
        if found is None:
            return False
        try:
            found.write_text(str(value))
        except OSError:
            return False
        return True


def _remove_abandoned(top: Path) -> None:
    """The groups of harnesses that were killed."""
    for folder in top.glob(f"{NAME}*"):
        if not Path("/proc", folder.name.removeprefix(NAME)).exists():
            with suppress(OSError):
                folder.rmdir()
