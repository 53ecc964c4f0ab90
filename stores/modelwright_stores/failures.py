"""The one exception of this library: a reason that the operator knows, and a sentence that a user can act on."""


class StoreError(Exception):
    """A store that cannot be used as asked.

    `passing`: it may end by itself, such as a server that is busy; another try may help. Else a person has to change
    something first. The message quotes nothing of what a server answers.
    """

    def __init__(self, reason: str, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.passing = passing
