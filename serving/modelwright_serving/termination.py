"""Writes what a container leaves behind, such as why it failed, to its termination log. Knows no step; uses only the
standard library."""

import json
from pathlib import Path

from modelwright_serving.failures import StepError

DEFAULT_PATH = Path("/dev/termination-log")
_MAX_BYTES = 4096
_MAX_MESSAGE = 1500


def document(step: str, failure: StepError) -> bytes:
    """The termination document, cut so that it stays within what Kubernetes keeps of it."""
    message = failure.message[:_MAX_MESSAGE] or failure.reason
    while True:
        error = {"reason": failure.reason, "message": message}
        encoded = json.dumps({"step": step, "error": error}, ensure_ascii=False).encode("utf-8", "replace")
        if len(encoded) <= _MAX_BYTES:
            return encoded
        message = message[: len(message) * 3 // 4]


def write(path: Path, step: str, failure: StepError) -> None:
    """Leave why a step failed where the kubelet looks for it."""
    leave(path, document(step, failure))


def leave(path: Path, message: bytes) -> None:
    """Leave a message where the kubelet looks for it; on a machine without such a place, do nothing."""
    if not message or not path.parent.is_dir():
        return
    try:
        path.write_bytes(message)
    except OSError:
        return  # a failure is on stderr as well; a read-only log must not hide the exit code
