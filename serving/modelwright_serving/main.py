"""`modelwright-serving`: from the command line to an exit code. Serving itself is left to `server`."""

import asyncio
import ctypes
import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import uvloop

from modelwright_serving import check, process_memory, settings, termination
from modelwright_serving.failures import StepError
from modelwright_serving.limits import Limits
from modelwright_serving.server import serve

# Of glibc's mallopt(3).
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8
# Bytes: what is larger is given back to the system as soon as it is freed.
_LARGE_BLOCK = 256 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, or check a model; the result is the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["check"]:
        return check.main(arguments[1:])
    chosen = settings.parse(arguments)
    chosen = replace(chosen, max_connections=min(chosen.max_connections, _affordable_connections()))
    _share_one_heap()
    process_memory.bound_by_container()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            quiet = runner.run(serve(chosen))
    except StepError as failure:
        termination.write(chosen.termination_log, "serve", failure)
        sys.stderr.write(f"modelwright-serving: {failure.reason}: {failure.message}\n")
        return failure.exit_code
    except OSError as error:
        sys.stderr.write(f"modelwright-serving: cannot listen: {error}\n")
        return 1
    if not quiet:
        _leave_at_once()
    return 0


def _affordable_connections() -> int:
    """How many connections each of the two ports may have, with as many file descriptors as the system allows.

    Without a descriptor nothing is accepted, so the server could not even choose which connection to close.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return max(1, (most - Limits.spare_descriptors) // 2 - Limits.refused_connections)


def _leave_at_once() -> None:
    """End the process without Python's own end, in which ONNX Runtime, still at work on a thread, would crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _share_one_heap() -> None:
    """Let the thread that loads the model leave no heap of its own behind, and no large body stay in the shared one.

    Left to itself glibc raises the size from which it gives memory back to that of the largest block it has freed.
    """
    with suppress(AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_TRIM_THRESHOLD, _LARGE_BLOCK)


if __name__ == "__main__":
    sys.exit(main())
