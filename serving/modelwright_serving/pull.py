"""`modelwright-pull`: puts the model of one revision, proven by its digest, where the server reads it.

The bytes on a claim are found by `stores`. Those outside the cluster are brought by `outside`, which is imported for
them alone: a claim needs only the standard library, and waits for nothing else.
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
from modelwright_serving.placing import (
    GOLDEN,
    MAX_GOLDEN_BYTES,
    MAX_MODEL_BYTES,
    MAX_PROFILE_BYTES,
    MODEL,
    PROFILE,
    publish,
)
from modelwright_serving.stores import Source, source_of

_CHUNK = 1024**2
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Pull one artifact; the result is the exit code. Without arguments it is the program: the process is its own."""
    options = _parser().parse_args(arguments)
    if arguments is None and _is_outside(options.uri):
        _guard_process()
    try:
        pull(options)
    except StepError as failure:
        termination.write(options.termination_log, "pull", failure)
        sys.stderr.write(f"modelwright-pull: {failure.reason}: {failure.message}\n")
        return failure.exit_code
    return 0


def pull(options: argparse.Namespace) -> None:
    """Put the model and, if they are there, its golden request and profile into the folder `options.to`. StepError."""
    uri, digest, to = options.uri, options.digest, options.to
    if not _DIGEST.fullmatch(digest):
        raise StepError(
            "DigestMismatch", f"{digest!r} is no digest: it has to look like sha256:<64 hex digits>"
        )
    try:
        if _is_outside(uri):
            _pull_from_outside(uri, digest, to, options.root)
            return
        source = source_of(uri, options.source_root)
        _pull_golden(source, to)
        _pull_profile(source, to)
        _pull_model(source, uri, digest, to)
    except OSError as error:
        shown = uri.partition("?")[0]  # a query may be a signature
        raise StepError("StorageFailed", f"{shown}: {_said(error)}", EXIT_OUTSIDE) from error


def _is_outside(uri: str) -> bool:
    return "://" in uri and not uri.startswith("pvc://")


def _guard_process() -> None:
    """Set what holds for the whole process while it has credentials and waits for a server."""
    from modelwright_serving import outside  # noqa: PLC0415 - not for a claim
    from modelwright_stores import dumps  # noqa: PLC0415

    dumps.forbid()
    outside.end_at_once_when_asked()


def _pull_from_outside(uri: str, digest: str, to: Path, root: Path) -> None:
    from modelwright_serving import outside  # noqa: PLC0415 - not for a claim

    outside.pull(outside.Wanted(uri, digest, to), os.environ, root)


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
        publish(partial, to / MODEL)
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
        publish(partial, to / GOLDEN)
    finally:
        partial.unlink(missing_ok=True)


def _pull_profile(source: Source, to: Path) -> None:
    """What it is like is for the server to judge: without a usable one it serves all the same."""
    partial, final = to / f"{PROFILE}.partial", to / PROFILE
    final.unlink(missing_ok=True)
    try:
        opened = source.open_sibling(PROFILE)
        if opened is not None:
            with opened as reader:
                partial.write_bytes(reader.read(MAX_PROFILE_BYTES + 1))
            publish(partial, final)
    except (StepError, OSError) as error:
        sys.stderr.write(f"modelwright-pull: {PROFILE} is left out: {error}\n")
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


def _said(error: OSError) -> str:
    return f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelwright-pull", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument(
        "--uri",
        required=True,
        help="the model file: pvc://CLAIM/PATH, s3://, gs://, az://, https:// or oci://",
    )
    parser.add_argument("--digest", required=True, help="sha256:<hex> of the model; other bytes are refused")
    parser.add_argument(
        "--to", required=True, type=Path, help="the folder that gets model.onnx, golden.json and profile.json"
    )
    parser.add_argument(
        "--source-root", type=Path, default=Path("/artifacts"), help="where the claim is mounted"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        help="the folder above etc/modelwright/stores, with credentials",
    )
    parser.add_argument("--termination-log", type=Path, default=termination.DEFAULT_PATH)
    return parser


if __name__ == "__main__":
    sys.exit(main())
