"""What is wrong with columns, gathered so that one message names all of them."""

from collections.abc import Iterable

from modelwright_training.errors import InputError


class ColumnError(InputError):
    """A column that cannot be used: what is wrong with it, and what to do, which columns may have in common."""

    def __init__(self, reason: str, what: str, remedy: str) -> None:
        super().__init__(reason, f"{what}. {remedy}")
        self.what, self.remedy = what, remedy


def raise_all(errors: Iterable[ColumnError]) -> None:
    """Raise one error for all; its reason is the first's, and columns with the same remedy stand together."""
    found = list(errors)
    if not found:
        return
    by_remedy: dict[str, list[str]] = {}
    for error in found:
        by_remedy.setdefault(error.remedy, []).append(error.what)
    text = " ".join(f"{'; '.join(whats)}. {remedy}" for remedy, whats in by_remedy.items())
    raise InputError(found[0].reason, text)
