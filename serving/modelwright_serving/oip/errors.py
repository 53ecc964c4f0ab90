"""The one error of the protocol layer: a status and a sentence. Sending it is left to the transports."""

from enum import Enum


class Problem(Enum):
    """What went wrong, by its HTTP status; gRPC maps the same names to its own codes."""

    INVALID = 400
    NOT_FOUND = 404
    INTERNAL = 500
    UNAVAILABLE = 503


class OipError(Exception):
    """A request that gets no result."""

    def __init__(self, message: str, problem: Problem = Problem.INVALID) -> None:
        super().__init__(message)
        self.message = message
        self.problem = problem
