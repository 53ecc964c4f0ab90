"""What ends a command without success: a sentence for the user, and the exit code that scripts tell them apart by."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes; docs/cli.md explains them."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    NO_ACCESS = 4
    NO_ANSWER = 5
    INTERRUPTED = 130


class Complaint(Exception):  # noqa: N818 - what a user did not get is no error of the program
    """Ends the command. The text says what was wrong, where, and what to do."""

    code = Exit.REFUSED


class Refused(Complaint):
    """What was asked for makes no sense as things stand, or the operator did not do it."""


class BadUsage(Complaint):
    """The command line cannot mean anything."""

    code = Exit.USAGE


class NotFound(Complaint):
    """The InferenceService, or the kind itself, is not there."""

    code = Exit.NOT_FOUND


class NoAccess(Complaint):
    """No kubeconfig, no permission, or credentials that the cluster does not take."""

    code = Exit.NO_ACCESS


class Unreachable(NoAccess):
    """The cluster does not answer; it may in a moment."""


class Expired(Complaint):
    """A watch cannot go on from where it was: read anew."""


class Conflict(Complaint):
    """The object has changed since it was read."""


class NoAnswer(Complaint):
    """The operator has not done in time what was asked of it, or a rollout did not end in time."""

    code = Exit.NO_ANSWER
