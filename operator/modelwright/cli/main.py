"""The process: reads the command line, runs the command, and ends with its exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from modelwright.cli import screen
from modelwright.cli.access import connect
from modelwright.cli.cluster import Cluster
from modelwright.cli.commands import ask, show
from modelwright.cli.errors import Complaint, Exit
from modelwright.cli.options import Ask, Show, parse


def main() -> NoReturn:
    """Ends with a code of `Exit`.

    The interpreter is not taken down in order: that takes seconds on a busy machine, with the many modules of the
    client, and a thread that waits for the API server has nothing to put in order.
    """
    code = run()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(code)


def run() -> int:
    """Reads the command line and does what it says; never with a traceback that the user could do nothing about."""
    screen.be_lenient()
    try:
        _do(parse(_program(sys.argv[0])))
    except Complaint as error:
        screen.tell(f"error: {error}")
        return error.code
    except SystemExit as ended:  # --help, a wrong command line, or a signal
        return ended.code if isinstance(ended.code, int) else Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever reads has seen enough
        pass
    return Exit.DONE


def _do(wanted: Show | Ask) -> None:
    access = connect(wanted.place)
    with access.client:
        cluster = Cluster(access)
        if isinstance(wanted, Show):
            show(cluster, wanted)
        else:
            ask(cluster, wanted)


def _program(path: str) -> str:
    """How the user calls it."""
    return "kubectl modelwright" if Path(path).stem == "kubectl-modelwright" else "modelwright"


if __name__ == "__main__":
    main()
