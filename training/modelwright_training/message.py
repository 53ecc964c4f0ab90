"""The step document: what a step says in its termination message, cut to what Kubernetes keeps of it."""

import json
from typing import Any

LIMIT = 4096
MESSAGE_LIMIT = 1500

Json = dict[str, Any]


def encode(document: Json) -> bytes:
    """The shortest JSON text of a document; refuses NaN and infinity."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def failure(step: str, reason: str, message: str) -> bytes:
    """The document of a step that failed."""
    text = _printable(message)[:MESSAGE_LIMIT]
    while len(encoded := encode({"step": step, "error": {"reason": reason, "message": text}})) > LIMIT:
        text = text[: len(text) * 9 // 10]
    return encoded


def success(step: str, result: Json) -> bytes:
    """The document of a step that is done."""
    for candidate in _shorter_and_shorter(result):
        encoded = encode({"step": step, "result": candidate})
        if len(encoded) <= LIMIT:
            return encoded
    raise ValueError(f"the result of {step} does not fit {LIMIT} bytes")


def _printable(text: str) -> str:
    """Replace what JSON would have to escape at six bytes a character, and what is no character at all."""
    clean = text.encode(errors="replace").decode()
    return "".join(char if char.isprintable() or char == "\n" else " " for char in clean)


def _shorter_and_shorter(result: Json) -> list[Json]:
    """The result as it is, then with ever less of its signature and of its notes."""
    candidates = [result]
    if "notes" in result:
        candidates += [
            {**result, "notes": [note[:200] for note in result["notes"][:5]]},
            {**result, "notes": []},
        ]
    if "signature" in result:
        signature = result["signature"]
        keeps = (len(signature["inputs"]), 64, 32, 16, 8, 4, 2, 1, 0)
        candidates += [{**result, "signature": _cut(signature, keep)} for keep in keeps]
    return candidates


def _cut(signature: Json, keep: int) -> Json:
    """A signature with at most `keep` inputs, outputs and classes, without the list of features."""
    short: Json = {"truncated": True}
    for key, counter in (("inputs", "inputCount"), ("outputs", "outputCount"), ("classes", "classCount")):
        if key in signature:
            short[key] = signature[key][:keep]
            short[counter] = len(signature[key])
    if "features" in signature:
        short["featureCount"] = len(signature["features"])
    return short
