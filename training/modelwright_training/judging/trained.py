"""Reads what a trainer says of its model (training.json): bounded, and ignored where it is not as it should be."""

import logging
from pathlib import Path
from typing import Any

from pydantic import Field

from modelwright_training.documents import Document, parse
from modelwright_training.errors import InputError, storage
from modelwright_training.files import regular, size_of

MAX_BYTES = 64 << 10

log = logging.getLogger(__name__)


class Training(Document):
    """How model.onnx came about (training.schema.json)."""

    estimator: str = Field(min_length=1)
    parameters: dict[str, Any]
    defaults: dict[str, Any] | None = None
    steps: list[str] | None = None
    seed: int | None = None
    rows: int | None = None
    weight: str | None = None
    early_stopping: dict[str, Any] | None = None
    libraries: dict[str, str]


def load_training(path: Path) -> Training | None:
    """What the trainer has left, if it is readable: a model is not refused for what is said about it."""
    with storage(f"Reading {path}"), regular(path) as file:
        if file is None:
            return None
        size = size_of(file)
        text = file.read() if size <= MAX_BYTES else b""
    try:
        return parse(Training, text, str(path))
    except InputError as error:
        log.info("%s is left out: %s", path.name, error.message if text else f"it has {size} bytes")
        return None
