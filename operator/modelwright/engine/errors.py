"""What can go wrong between us and the API server, as a small tree that says what to do about it.

The leaves are raised with the API server's own message; the cause, where there is one, is attached.
"""

# ruff: noqa: N818 - these are the names that the API server itself uses
from __future__ import annotations


class ApiError(Exception):
    """A request to the API server failed."""


class Retryable(ApiError):
    """The same request may go through later."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Retryable):
    """The API server did not answer, or answered that it cannot at the moment."""


class TooManyRequests(Retryable):
    """The API server asks us to come back later."""


class Conflict(Retryable):
    """The object is not, or no longer, the one that the request was for."""


class NotFound(Retryable):
    """There is no such object, or nowhere to put it. What it needs may come later."""


class Rejected(ApiError):
    """The API server refuses it. Somebody has to change something."""


class Invalid(Rejected):
    """The object breaks a rule of its kind. The same object is refused again, unless the rule changes."""


class Denied(Rejected):
    """An admission policy or webhook says no. Others write and change it: it may say yes later."""


class Forbidden(Rejected):
    """We may not do that: a right is missing, a quota is used up or Pod Security says no. That can change."""


class NameTaken(Rejected):
    """An object of that name is there already and belongs to somebody else."""


class NamespaceTerminating(Rejected):
    """The namespace is being deleted: nothing new can be made in it, and soon nothing will be left of it."""


class AlreadyExists(ApiError):
    """An object of that name is there already."""


class NotLeader(Exception):
    """Another process may lead: this one must not write."""
