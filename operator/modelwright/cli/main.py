"""The process: reads the command line, runs the command, and ends with its exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modelwright.cli import screen
from modelwright.cli.access import connect
from modelwright.cli.cluster import Cluster
from modelwright.cli.commands import ask, show
from modelwright.cli.errors import Complaint, Exit
from modelwright.cli.options import Ask, Show, parse


def main() -> None:
    """Ends with a code of `Exit`, and never with a traceback that the user could do nothing about."""
    screen.be_lenient()
    try:
        _run(parse(_program(sys.argv[0])))
    except Complaint as error:
        screen.tell(f"error: {error}")
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:  # whoever reads has seen enough; python would complain once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.DONE)


def _run(wanted: Show | Ask) -> None:
    client, namespace = connect(wanted.place)
    with client:
        cluster = Cluster(client, namespace)
        if isinstance(wanted, Show):
            show(cluster, wanted)
        else:
            ask(cluster, wanted)


def _program(path: str) -> str:
    """How the user calls it."""
    return "kubectl modelwright" if Path(path).stem == "kubectl-modelwright" else "modelwright"


if __name__ == "__main__":
    main()
