"""The process: reads the command line, runs the command, and exits with its code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from modelwright.cli import screen
from modelwright.cli.access import connect
from modelwright.cli.approving import decide
from modelwright.cli.cluster import Cluster
from modelwright.cli.commands import ask, show
from modelwright.cli.errors import Complaint, Exit
from modelwright.cli.options import (
    Ask,
    Card,
    Command,
    Decide,
    Models,
    Put,
    Reproduce,
    RunNow,
    Show,
    Try,
    parse,
)
from modelwright.cli.putting import put
from modelwright.cli.running import run_now
from modelwright.cli.trying import attempt
from modelwright.cli.versions import card, models, reproduce


def main() -> NoReturn:
    """Runs the command and exits with a code of `Exit`.

    It skips the interpreter's orderly shutdown. With the many modules of the client that takes seconds on a busy
    machine, and a thread that waits for the API server has nothing to clean up.
    """
    code = run()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or without a reader
            stream.flush()
    os._exit(code)


def run() -> int:
    """Runs the command and returns its exit code. Expected failures are reported in a sentence, without a traceback."""
    screen.be_lenient()
    try:
        _do(parse(_program(sys.argv[0])))
    except Complaint as error:
        screen.report(f"error: {error}")
        return error.code
    except SystemExit as ended:  # --help, a wrong command line, or a signal
        return ended.code if isinstance(ended.code, int) else Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:  # the reader of the output has stopped reading, as `head` does
        pass
    return Exit.DONE


def _do(command: Command) -> None:
    if isinstance(command, Try):
        attempt(command)
        return
    access = connect(command.place)
    with access.client:
        match command:
            case Show():
                show(Cluster(access), command)
            case Ask():
                ask(Cluster(access), command)
            case Put():
                put(access, command)
            case Models():
                models(Cluster(access), command)
            case Card():
                card(Cluster(access), command)
            case Reproduce():
                reproduce(Cluster(access), command)
            case Decide():
                decide(Cluster(access), command)
            case RunNow():
                run_now(Cluster(access), command)


def _program(path: str) -> str:
    """The name of the program as the user types it."""
    return "kubectl modelwright" if Path(path).stem == "kubectl-modelwright" else "modelwright"


if __name__ == "__main__":
    main()
