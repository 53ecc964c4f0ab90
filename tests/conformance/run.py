"""Runs checks against a target and keeps what came of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import grpc

from conformance.checks import Check, Failed, NotApplicable, Severity, shown
from conformance.over_grpc.calls import described
from conformance.target import Target

# What reading an answer raises that has another form than the protocol's.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Result:
    """One check's outcome, and why if it did not pass."""

    check: Check
    outcome: Outcome
    detail: str = ""


def run(target: Target, checks: Iterable[Check]) -> list[Result]:
    return [_run(target, check) for check in checks]


def _run(target: Target, check: Check) -> Result:
    if check.protocol == "grpc" and target.grpc is None:
        return Result(check, Outcome.NOT_APPLICABLE, "no gRPC address was given")
    try:
        check.run(target)
    except NotApplicable as reason:
        return Result(check, Outcome.NOT_APPLICABLE, str(reason))
    except (Failed, OSError, grpc.RpcError, *UNREADABLE) as error:
        return Result(check, Outcome.FAILED, _words(error))
    return Result(check, Outcome.PASSED)


def _words(error: Exception) -> str:
    if isinstance(error, Failed):
        return str(error)
    if isinstance(error, grpc.RpcError):
        return described(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return f"the connection broke: {shown(error)}"
    return f"an unexpected answer: {type(error).__name__} {shown(error)}"


def totals(results: Iterable[Result]) -> dict[Severity, dict[Outcome, int]]:
    """How many checks of each severity came out in which way."""
    found = {severity: dict.fromkeys(Outcome, 0) for severity in Severity}
    for result in results:
        found[result.check.severity][result.outcome] += 1
    return found
