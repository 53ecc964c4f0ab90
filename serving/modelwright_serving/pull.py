"""`modelwright-pull`: puts the model of one revision, proven by its digest, where the server reads it.

Finding the bytes is left to `stores`. Imports only the standard library: it runs before anything else does.
"""

import argparse
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from modelwright_serving import termination
from modelwright_serving.failures import EXIT_OUTSIDE, StepError
from modelwright_serving.stores import Source, source_of

MODEL = "model.onnx"
GOLDEN = "golden.json"
MAX_MODEL_BYTES = 2 * 1024**3
MAX_GOLDEN_BYTES = 1024**2
_CHUNK = 1024**2
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Pull one artifact; the result is the exit code."""
    options = _parser().parse_args(arguments)
    try:
        pull(options.uri, options.digest, options.to, options.source_root)
    except StepError as failure:
        termination.write(options.termination_log, "pull", failure)
        sys.stderr.write(f"modelwright-pull: {failure.reason}: {failure.message}\n")
        return failure.exit_code
    return 0


def pull(uri: str, digest: str, to: Path, source_root: Path) -> None:
    """Copy the model and, if there is one, its golden request into the folder `to`."""
    if not _DIGEST.fullmatch(digest):
        raise StepError(
            "DigestMismatch", f"{digest!r} is no digest: it has to look like sha256:<64 hex digits>"
        )
    source = source_of(uri, source_root)
    try:
        _pull_golden(source, to)
        _pull_model(source, uri, digest, to)
    except OSError as error:
        raise StepError("StorageFailed", f"{uri}: {_said(error)}", EXIT_OUTSIDE) from error


def _pull_model(source: Source, uri: str, digest: str, to: Path) -> None:
    partial = to / f"{MODEL}.partial"
    try:
        with source.open_model() as reader, partial.open("wb") as writer:
            found = _copy(
                reader, writer, MAX_MODEL_BYTES, StepError("ModelTooLarge", f"{uri} is larger than 2 GiB")
            )
        if found != digest:
            raise StepError(
                "DigestMismatch", f"{uri} holds {found}, but {digest} is asked for: the file was replaced"
            )
        _publish(partial, to / MODEL)
    finally:
        partial.unlink(missing_ok=True)


def _pull_golden(source: Source, to: Path) -> None:
    """Before the model: once `model.onnx` is there, everything that belongs to it is."""
    partial = to / f"{GOLDEN}.partial"
    opened = source.open_sibling(GOLDEN)
    if opened is None:
        (to / GOLDEN).unlink(missing_ok=True)
        return
    try:
        with opened as reader, partial.open("wb") as writer:
            too_large = StepError("GoldenUnreadable", f"{GOLDEN} beside the model is larger than 1 MiB")
            _copy(reader, writer, MAX_GOLDEN_BYTES, too_large)
        _publish(partial, to / GOLDEN)
    finally:
        partial.unlink(missing_ok=True)


def _copy(reader: BinaryIO, writer: BinaryIO, limit: int, too_large: StepError) -> str:
    """Copy, flush to the disk and say the digest of what was written."""
    digest = hashlib.sha256()
    size = 0
    while chunk := reader.read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise too_large
        digest.update(chunk)
        writer.write(chunk)
    writer.flush()
    os.fsync(writer.fileno())
    return f"sha256:{digest.hexdigest()}"


def _publish(partial: Path, final: Path) -> None:
    """Give the complete file its name; a reader sees all of it or nothing."""
    partial.replace(final)
    folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _said(error: OSError) -> str:
    return f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelwright-pull", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--uri", required=True, help="the model file: pvc://CLAIM/PATH")
    parser.add_argument("--digest", required=True, help="sha256:<hex> of the model; other bytes are refused")
    parser.add_argument(
        "--to", required=True, type=Path, help="the folder that gets model.onnx and golden.json"
    )
    parser.add_argument(
        "--source-root", type=Path, default=Path("/artifacts"), help="where the claim is mounted"
    )
    parser.add_argument("--termination-log", type=Path, default=termination.DEFAULT_PATH)
    return parser


if __name__ == "__main__":
    sys.exit(main())
