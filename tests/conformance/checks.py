"""What a check is: an id, a sentence, a severity, the text that demands it, and a function that fails or returns."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.target import Target


class Severity(StrEnum):
    """MUST: a specification says so (of the protocol, of HTTP, of gRPC). SHOULD: an extension or a client needs it."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True)
class Citation:
    """Where the demand comes from: a sentence of a document, or what a client was seen to do."""

    source: str
    text: str


class Failed(Exception):  # noqa: N818 - an outcome
    """The server did not do what the check demands; the message says what it did."""


class NotApplicable(Exception):  # noqa: N818 - an outcome
    """The model or the server lacks what the check is about."""


Run = Callable[["Target"], None]


@dataclass(frozen=True)
class Check:
    """One demand; `protocol` is http or grpc."""

    id: str
    title: str
    severity: Severity
    citation: Citation
    protocol: str
    run: Run


class Group:
    """Checks of one subject, in the order in which they are written down."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.checks: list[Check] = []

    def must(self, id_: str, title: str, citation: Citation) -> Callable[[Run], Run]:
        return self._add(id_, title, Severity.MUST, citation)

    def should(self, id_: str, title: str, citation: Citation) -> Callable[[Run], Run]:
        return self._add(id_, title, Severity.SHOULD, citation)

    def add(self, check: Check) -> None:
        self.checks.append(check)

    def _add(self, id_: str, title: str, severity: Severity, citation: Citation) -> Callable[[Run], Run]:
        def register(run: Run) -> Run:
            self.add(Check(id_, title, severity, citation, self.protocol, run))
            return run

        return register


def expect(condition: object, otherwise: str) -> None:
    """Fail with these words unless the condition holds."""
    if not condition:
        raise Failed(otherwise)


def need(condition: object, otherwise: str) -> None:
    """The check does not apply unless the condition holds."""
    if not condition:
        raise NotApplicable(otherwise)


def shown(value: object, limit: int = 160) -> str:
    """A value as it fits into a message."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[:limit]}…"
