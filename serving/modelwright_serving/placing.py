"""The files that `modelwright-pull` leaves for the server, and how each gets its name."""

import os
from pathlib import Path

MODEL = "model.onnx"
GOLDEN = "golden.json"
PROFILE = "profile.json"
MAX_MODEL_BYTES = 2 * 1024**3
MAX_GOLDEN_BYTES = 1024**2
MAX_PROFILE_BYTES = 1024**2


def publish(partial: Path, final: Path) -> None:
    """Give the complete file its name; a reader sees all of it or nothing."""
    partial.replace(final)
    folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
