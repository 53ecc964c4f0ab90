"""Reads from /proc what a server and its children use."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024.0


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and all its descendants, living and waited for."""
    return sum(map(_ticks, family(pid))) / TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its descendants."""
    return sum(_kilobytes(Path(f"/proc/{one}/status"), "VmRSS:") for one in family(pid)) / MIB


def proportional_mib(pid: int) -> float:
    """Memory of a process and its descendants, shared pages divided by those who share them."""
    return sum(_kilobytes(Path(f"/proc/{one}/smaps_rollup"), "Pss:") for one in family(pid)) / MIB


def descriptors(pid: int) -> int:
    """Open files and sockets of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


def busy_ticks() -> tuple[int, int]:
    """Of all cores since the machine started: ticks that were used, and all ticks."""
    numbers = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = numbers[3] + numbers[4]
    return sum(numbers) - idle, sum(numbers)


def _ticks(pid: int) -> int:
    """utime, stime, cutime and cstime: the fields after the name, which may hold anything in parentheses."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def _kilobytes(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
