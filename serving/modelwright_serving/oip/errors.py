"""The one error of the protocol layer: a status and a sentence. Sending it is left to the transports."""

from enum import Enum


class Problem(Enum):
    """What went wrong, by its HTTP status; gRPC maps the same names to its own codes."""

    INVALID = 400
    NOT_FOUND = 404
    TOO_LARGE = 413
    INTERNAL = 500
    UNAVAILABLE = 503
    TIMEOUT = 504


class OipError(Exception):
    """A request that gets no result; `reason` names the bound that it met, for metrics."""

    def __init__(self, message: str, problem: Problem = Problem.INVALID, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.problem = problem
        self.reason = reason

    def within(self, where: str) -> "OipError":
        """The same error, with the part of the request that it is about."""
        return OipError(f"{where}: {self.message}", self.problem, self.reason)


class CostlyError(Exception):
    """Decoding takes longer than the event loop can spare."""
