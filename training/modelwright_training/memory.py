"""What memory a step may take, and bounds for what a model takes of it: a small file can make large tensors."""

import ctypes
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelwright_training.errors import InputError

BYTES = 1 << 30
# What ONNX Runtime needs at most to load a byte of a file: trees of small integers take 14, weights 4.
PER_BYTE = 16
STATUS = Path("/proc/self/status")
CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
M_MMAP_THRESHOLD = -3  # of malloc.h
MARKS = ("bad_alloc", "bfc_arena")


@contextmanager
def bounded(size: int, what: str) -> Iterator[None]:
    """Within it, the process can allocate at most `size` bytes more than it has; InputError if that is too little."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if STATUS.exists():
        used = re.findall(r"VmData:\s+(\d+) kB", STATUS.read_text())
        most = int(used[0]) * 1024 + size
        # Of bounds within each other the tighter one counts.
        resource.setrlimit(
            resource.RLIMIT_DATA, (most if soft == resource.RLIM_INFINITY else min(most, soft), hard)
        )
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or any(mark in str(error) for mark in MARKS):
            raise InputError(
                "ModelMemory",
                f"{what} takes more than {size >> 20} MiB of memory. A small file may make large tensors "
                "(ConstantOfShape, Expand, Tile): export the model without them.",
            ) from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def limit() -> int:
    """How many bytes of memory the step may use: the limit of its cgroup, else what the machine has."""
    asked = [int(text) for file in CGROUP if file.exists() and (text := file.read_text().strip()).isdigit()]
    return min(*asked, MACHINE) if asked else MACHINE


def used() -> int:
    """How many bytes of memory the step uses now."""
    found = re.findall(r"VmRSS:\s+(\d+) kB", STATUS.read_text()) if STATUS.exists() else []
    return int(found[0]) * 1024 if found else 0


def give_back() -> None:
    """Have freed blocks of a MiB or more returned at once. The C library keeps those of up to 32 MiB otherwise, which
    is a fifth of what a large table takes. Slower for small steps in a loop, so for steps that read and write only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_MMAP_THRESHOLD, 1 << 20)
