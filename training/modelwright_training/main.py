"""The command `modelwright-training STEP`: runs one step and ends it the way the operator reads.

What a step does is left to its module, which is imported only when it runs."""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from modelwright_stores import dumps
from modelwright_training import kernels, message
from modelwright_training.errors import StepError
from modelwright_training.message import Json
from modelwright_training.paths import Paths

Step = Callable[[Mapping[str, str], Paths], Json]

STEPS = ("fetch", "train", "publish", "verify", "delete", "probe")
# This one has no credentials, and runs what a user wrote.
OTHERS = "train"
DONE, CRASHED, INPUT = 0, 1, 65

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step that the command line names; return its exit code."""
    parser = argparse.ArgumentParser(prog="modelwright-training", description=__doc__)
    parser.add_argument("step", choices=STEPS, help="the step of the training pod to run")
    name: str = parser.parse_args(argv).step
    if name != OTHERS:
        dumps.forbid()
    kernels.choose(os.environ)
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO, force=True)
    return run_step(name, os.environ, Paths.of(os.environ))


def run_step(name: str, environ: Mapping[str, str], paths: Paths) -> int:
    """Run a step and leave its document where Kubernetes picks it up."""
    code, document = _outcome(name, environ, paths)
    _leave(paths.termination_log, document)
    return code


def _outcome(name: str, environ: Mapping[str, str], paths: Paths) -> tuple[int, bytes]:
    try:
        step: Step = import_module(f"modelwright_training.{name}").run
        return DONE, message.success(name, step(environ, paths))
    except StepError as error:
        log.error("%s: %s", error.reason, error.message)  # noqa: TRY400 (a user's mistake needs no traceback)
        return error.exit_code, message.failure(name, error.reason, error.message)
    except MemoryError:
        text = "The step ran out of memory. Use less data or give the training pod more memory."
        log.error("OutOfMemory: %s", text)  # noqa: TRY400 (nothing is left to format one with)
        return INPUT, message.failure(name, "OutOfMemory", text)
    except Exception as error:  # noqa: BLE001 (the one place where a defect becomes a message)
        traceback.print_exc(file=sys.stderr)
        return CRASHED, message.failure(name, "InternalError", f"{type(error).__name__}: {error}")


def _leave(path: Path, document: bytes) -> None:
    try:
        path.write_bytes(document)
    except OSError as error:
        log.error("Writing %s failed (%s); the document was: %s", path, error.strerror, document.decode())  # noqa: TRY400


if __name__ == "__main__":
    sys.exit(main())
