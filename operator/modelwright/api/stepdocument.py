"""The step document, as the termination message of a container holds it (docs/contracts/step.schema.json)."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

# What the packed result of a step may have unpacked, in bytes.
UNPACKED = 64 << 10


def step_document(text: str) -> dict[str, Any]:
    """Returns the JSON object in a message, with its result unpacked; empty if there is none that can be read."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            return {}
        if "packed" not in document:
            return document
        result = json.loads(_unpacked(str(document.pop("packed"))))
    except (ValueError, RecursionError, zlib.error):
        return {}
    return {**document, "result": result}


def _unpacked(text: str) -> bytes:
    """The bytes that were packed with zlib and base85.

    Raises: ValueError, zlib.error if it is something else, or more than `UNPACKED`."""
    stream = zlib.decompressobj()
    found = stream.decompress(base64.b85decode(text), UNPACKED)
    if not stream.eof:
        raise ValueError("the packed result is cut, or too long")
    return found
