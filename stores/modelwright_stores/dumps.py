"""Keeps credentials out of dumps of memory."""

import ctypes

SET_DUMPABLE = 4


def forbid() -> None:
    """Have the kernel write no dump of this process if it crashes: a node may keep it, or send it somewhere.

    Without root the process can no longer list /proc/self/fd, and no other process of the same user can look into it.
    Where the kernel does not know this, nothing changes."""
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 0, 0, 0, 0)
