"""Parses the traffic rule: which requests are delegated to another revision. The operator writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

from modelwright_serving.limits import TRAFFIC

EVERY = 100

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
_REVISION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_SECRET = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"revision", "host", "port", "weight", "mirror", "headers", "sticky", "timeoutSeconds", "patience"}
_FIELDS |= {"secret", "passHeaders", "refusals"}
# Headers that the server writes itself, or that describe the caller's own connection and body.
_OWN = re.compile(
    "host|content-.*|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-.*|grpc-.*|modelwright-.*|"
    "inference-header-content-length"
)


class RuleError(ValueError):
    """The document is no traffic rule; its text says why."""


@dataclass(frozen=True, slots=True)
class Match:
    """Requests with this value of a header (name in lower case) always go to the other revision."""

    header: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Rule:
    """Of every 100 requests `weight` are delegated to the revision at host and port, `mirror` are copied there.

    `sticky`: a header in lower case whose value, instead of a count, decides. `refusals`: a request that this revision
    refuses is delegated before its caller gets the refusal. `timeout`: seconds that the other revision has for an
    answer before this one gives it; None: by how long this revision's own answers take. `patience`: at most this share
    of the time that is left of the caller's deadline, if it has one. `secret`: known to the servers of this model only;
    None in a rule of an earlier operator. `passed`: headers in lower case that are passed on, besides those of traces.
    `unknown`: fields of a later release, which are ignored.
    """

    revision: str
    host: str
    port: int
    weight: int = 0
    mirror: int = 0
    matches: tuple[Match, ...] = ()
    sticky: bytes | None = None
    refusals: bool = False
    timeout: float | None = None
    patience: float = 0.5
    secret: str | None = None
    passed: tuple[bytes, ...] = ()
    unknown: tuple[str, ...] = ()


def parse(content: bytes) -> Rule | None:
    """The rule in a file; None if the file is empty, and nothing is delegated. RuleError if it holds no rule."""
    if not content.strip():
        return None
    if len(content) > TRAFFIC.rule:
        raise RuleError(f"is larger than {TRAFFIC.rule} bytes")
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise RuleError(f"is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise RuleError("has to be a JSON object")
    return Rule(
        revision=_text(document, "revision", _REVISION),
        host=_text(document, "host", _HOST),
        port=_number(document, "port", 1, 65535),
        weight=_number(document, "weight", 0, EVERY, default=0),
        mirror=_number(document, "mirror", 0, EVERY, default=0),
        matches=_matches(document.get("headers", [])),
        sticky=_text(document, "sticky", _HEADER).lower().encode() if "sticky" in document else None,
        refusals=_flag(document, "refusals"),
        timeout=_fraction(document, "timeoutSeconds", 3600.0) if "timeoutSeconds" in document else None,
        patience=_fraction(document, "patience", 1.0, default=0.5),
        secret=_text(document, "secret", _SECRET) if "secret" in document else None,
        passed=_passed(document.get("passHeaders", [])),
        unknown=tuple(sorted(name[:100] for name in document.keys() - _FIELDS)[:10]),
    )


def _text(document: dict[str, object], name: str, pattern: re.Pattern[str]) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RuleError(f"{name} is missing, or not of the form {pattern.pattern}")
    return value


def _number(document: dict[str, object], name: str, low: int, high: int, default: int | None = None) -> int:
    value = document.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise RuleError(f"{name} has to be a number from {low} to {high}")
    return value


def _flag(document: dict[str, object], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise RuleError(f"{name} has to be true or false")
    return value


def _fraction(document: dict[str, object], name: str, high: float, default: float | None = None) -> float:
    value = document.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0.001 <= value <= high:
        raise RuleError(f"{name} has to be a number from 0.001 to {high:g}")
    return float(value)


def _matches(entries: object) -> tuple[Match, ...]:
    if not isinstance(entries, list) or len(entries) > TRAFFIC.matches:
        raise RuleError(f"headers has to be a list of at most {TRAFFIC.matches} names and values")
    return tuple(_match(entry, f"headers[{index}]") for index, entry in enumerate(entries))


def _match(entry: object, where: str) -> Match:
    if not isinstance(entry, dict) or set(entry) != {"name", "value"}:
        raise RuleError(f"{where} has to hold a name and a value")
    name, value = entry["name"], entry["value"]
    if not isinstance(name, str) or not _HEADER.fullmatch(name):
        raise RuleError(f"{where}.name has to be the name of a header")
    if not isinstance(value, str) or not 0 < len(value) <= 1024:
        raise RuleError(f"{where}.value has to be a text of at most 1024 characters")
    return Match(name.lower().encode(), value.encode())


def _passed(names: object) -> tuple[bytes, ...]:
    if not isinstance(names, list) or len(names) > TRAFFIC.passed_names:
        raise RuleError(f"passHeaders has to be a list of at most {TRAFFIC.passed_names} names of headers")
    for name in names:
        if not isinstance(name, str) or not _HEADER.fullmatch(name):
            raise RuleError("passHeaders has to hold names of headers")
        if _OWN.fullmatch(name.lower()):
            raise RuleError(f"passHeaders may not hold {name}, which the server writes itself")
    return tuple(name.lower().encode() for name in names)
