"""Structured lines about the server's life on standard output, one JSON object each; of requests only its failures."""

import sys

import orjson


def event(name: str, **fields: object) -> None:
    """Write one line: what happened, and what belongs to it."""
    sys.stdout.write(orjson.dumps({"event": name, **fields}, default=str).decode() + "\n")
    sys.stdout.flush()
