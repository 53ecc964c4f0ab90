"""Bounds the memory of this process: what asks for too much fails alone, before the kernel ends the whole process.

What a run of the model takes is bounded by `runtime`, what callers make the server hold by `memory`.
"""

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
# Without a limit, cgroup v1 shows the largest number of pages.
_NO_LIMIT = 2**60
# A container that is smaller than the process at its start still lets it say what is wrong.
_LEAST = 64 * 1024**2


def container_limit() -> int | None:
    """The bytes that the container may use; None without a limit."""
    for path in _CONTAINER:
        with suppress(OSError, ValueError):  # "max" is no number
            size = int(path.read_text())
            return size if size < _NO_LIMIT else None
    return None


def share_of_model() -> int:
    """The bytes that a run of the model may take unless somebody chooses them."""
    limit = container_limit()
    return 1024**3 if limit is None else max(limit // 4, 64 * 1024**2)


def bound_by_container() -> None:
    """From here on, more than the container's limit cannot be allocated: that fails instead."""
    limit, used = container_limit(), _used()
    if limit is not None and used is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        _bound(max(limit, used + _LEAST), hard)


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Within it, the process can allocate at most `size` bytes more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    used = _used()
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


def _used() -> int | None:
    """What RLIMIT_DATA counts, in bytes; None where the kernel does not say it."""
    with suppress(OSError):
        found = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else None
    return None
