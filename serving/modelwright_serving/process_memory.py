"""Bounds the memory of this process: what asks for too much fails alone, before the kernel ends the whole process.

What a run of the model takes is bounded by `runtime`, what callers make the server hold by `memory`.
"""

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# Without a limit, cgroup v1 shows the largest number of pages.
_NO_LIMIT = 2**60
# A container that is smaller than the process at its start still lets it say what is wrong.
_LEAST = 64 * 1024**2


def container_limit() -> int | None:
    """The bytes that the container, or the control group, may use; None without a limit."""
    limits: list[int] = []
    for path in _limit_files():
        with suppress(OSError, ValueError):  # "max" is no number
            limits.append(int(path.read_text()))
    return min((limit for limit in limits if limit < _NO_LIMIT), default=None)


def _limit_files() -> Iterator[Path]:
    """Where the limit may stand: a container sees its own group as the root, other processes see the path to theirs."""
    yield from (_GROUPS / "memory.max", _GROUPS / "memory/memory.limit_in_bytes")
    with suppress(OSError):
        for line in _OWN_GROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield _GROUPS / path[1:] / "memory.max"
            elif controllers == "memory":
                yield _GROUPS / "memory" / path[1:] / "memory.limit_in_bytes"


def share_of_model() -> int:
    """The bytes that a run of the model may take by default."""
    limit = container_limit()
    return 1024**3 if limit is None else max(limit // 4, 64 * 1024**2)


def bound_by_container() -> None:
    """From here on, more than the container's limit cannot be allocated: that fails instead."""
    limit, used = container_limit(), status_bytes("VmData")
    if limit is not None and used is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        _bound(max(limit, used + _LEAST), hard)


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Within it, the process can allocate at most `size` bytes more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    used = status_bytes("VmData")
    if used is not None:
        _bound(used + size, soft)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _bound(size: int, other: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    least = size if other == resource.RLIM_INFINITY else min(size, other)
    resource.setrlimit(resource.RLIMIT_DATA, (least, hard))


def status_bytes(field: str) -> int | None:
    """A number of bytes in /proc/self/status; None where the kernel does not give it.

    VmData is what RLIMIT_DATA counts, VmHWM the largest resident memory of this program so far.
    """
    with suppress(OSError):
        found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None
