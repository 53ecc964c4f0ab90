"""The one exception that ends a program of this package for a reason its user can act on.

It carries what the termination document needs; writing that document is left to `termination`.
"""

EXIT_INPUT = 65
EXIT_OUTSIDE = 75


class StepError(Exception):
    """A step that cannot go on: `reason` is one of a closed list, `message` says what to do."""

    def __init__(self, reason: str, message: str, exit_code: int = EXIT_INPUT) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.exit_code = exit_code
