"""Constraints of trees by the names of features: in which direction predictions may change, which features may meet.

The libraries take them by the places of columns, and a spec cannot know what comes of its columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.untyped import Estimator

MONOTONE = ("monotone_constraints", "monotonic_cst")
INTERACTION = ("interaction_constraints", "interaction_cst")
WHERE = "trainer.sklearn.parameters"


def settle(estimator: Estimator, numbers: Sequence[str], width: int) -> None:
    """Replace names by places in the parameters of an estimator that is about to be fitted, or BadParameters.

    `numbers` are the features behind the first of the `width` columns that it sees; a date is behind several."""
    _check_parts(estimator)
    given = estimator.get_params(deep=False)
    for name in MONOTONE:
        if given.get(name) is not None:
            estimator.set_params(**{name: _directions(name, given[name], numbers, width)})
    for name in INTERACTION:
        if isinstance(given.get(name), list | tuple):
            estimator.set_params(**{name: [_places(name, group, numbers) for group in given[name]]})


def _check_parts(estimator: Estimator) -> None:
    """Refuse names in estimators within: what these see is not always what the outermost sees."""
    for path, value in estimator.get_params().items():
        *outer, name = path.split("__")
        if outer and name in (*MONOTONE, *INTERACTION) and _has_names(value):
            raise InputError(
                "BadParameters", f"{WHERE}: {name} can name features only of the outermost estimator."
            )


def _has_names(value: object) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple)
        and any(isinstance(one, str) or (isinstance(one, list) and _has_names(one)) for one in value)
    )


def _directions(name: str, given: object, numbers: Sequence[str], width: int) -> tuple[int, ...]:
    if isinstance(given, Mapping):
        _check_known(name, list(given), numbers)
        several = [one for one in given if numbers.count(one) > 1]
        if several:
            raise InputError(
                "BadParameters",
                f"{WHERE}.{name} names {listing(several)}: a date becomes several numbers, which have no direction.",
            )
        wrong = [f"{one!r}: {value!r}" for one, value in given.items() if value not in (-1, 0, 1)]
        if wrong:
            raise InputError(
                "BadParameters",
                f"{WHERE}.{name} has {', '.join(wrong)}; a direction is 1 (rising), -1 (falling) or 0 (free).",
            )
        return tuple(int(given.get(one, 0)) for one in numbers) + (0,) * (width - len(numbers))
    if isinstance(given, list | tuple) and len(given) == width:
        return tuple(given)
    raise InputError(
        "BadParameters",
        f"{WHERE}.{name} has to be a mapping from features to directions, such as {{{(numbers or ['age'])[0]}: 1}}, "
        f"or a list with one direction for each of the {width} columns that the estimator sees.",
    )


def _places(name: str, group: Any, numbers: Sequence[str]) -> list[int]:  # noqa: ANN401 (any JSON)
    """The places of the features of a group; a place that is given stays one."""
    members = list(group) if isinstance(group, list | tuple | set | frozenset) else [group]
    _check_known(name, [one for one in members if isinstance(one, str)], numbers)
    found = [
        [place for place, one in enumerate(numbers) if one == member] if isinstance(member, str) else [member]
        for member in members
    ]
    return [place for places in found for place in places]


def _check_known(name: str, names: Sequence[str], numbers: Sequence[str]) -> None:
    unknown = [one for one in names if one not in numbers]
    numbers = list(dict.fromkeys(numbers))  # a date is several of them
    if unknown:
        raise InputError(
            "BadParameters",
            f"{WHERE}.{name} names {listing(unknown)}, but numeric features are only {listing(list(numbers))}."
            f"{suggestion(unknown[0], list(numbers))}",
        )
