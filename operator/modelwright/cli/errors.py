"""The ways in which a command fails: a sentence for the user, and an exit code for scripts."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes. docs/cli.md explains them."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    NO_ACCESS = 4
    NO_ANSWER = 5
    INTERRUPTED = 130


class Complaint(Exception):  # noqa: N818 - not an error of the program
    """Ends the command. The message names what is wrong, where, and what to do."""

    code = Exit.REFUSED


class Refused(Complaint):
    """The request makes no sense in the present state, or the operator did not carry it out."""


class BadUsage(Complaint):
    """The command line is wrong."""

    code = Exit.USAGE


class NotFound(Complaint):
    """The InferenceService, or its kind, does not exist."""

    code = Exit.NOT_FOUND


class NoAccess(Complaint):
    """No kubeconfig, no permission, or credentials that the cluster rejects."""

    code = Exit.NO_ACCESS


class Unreachable(NoAccess):
    """The cluster does not answer. A retry may help."""


class Expired(Complaint):
    """A watch cannot continue from its resource version. The object has to be read again."""


class Conflict(Complaint):
    """The object changed after it was read."""


class NoAnswer(Complaint):
    """The operator did not carry out the request in time, or the rollout did not end in time."""

    code = Exit.NO_ANSWER
