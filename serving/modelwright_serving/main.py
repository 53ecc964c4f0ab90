"""`modelwright-serving`: from the command line to an exit code. Serving itself is left to `server`."""

import asyncio
import sys
from collections.abc import Sequence

import uvloop

from modelwright_serving import settings, termination
from modelwright_serving.failures import StepError
from modelwright_serving.server import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; the result is the exit code."""
    chosen = settings.parse(arguments)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(chosen))
    except StepError as failure:
        termination.write(chosen.termination_log, "serve", failure)
        sys.stderr.write(f"modelwright-serving: {failure.reason}: {failure.message}\n")
        return failure.exit_code
    except OSError as error:
        sys.stderr.write(f"modelwright-serving: cannot listen: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
