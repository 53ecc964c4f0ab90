"""What callers say is true."""

from typing import Any

import pytest

from modelwright_serving.feedback.truths import Truths
from modelwright_serving.oip.errors import OipError
from modelwright_serving.predictions import Class, Predictions


def truths(*classes: Class) -> Truths:
    return Truths(Predictions(classes, 1 if len(classes) == 2 else None, 0, 1))


NUMBERS = Truths(Predictions((), None, None, 0))


@pytest.mark.parametrize(
    ("classes", "truth", "place"),
    [
        (("no", "yes"), "yes", 1),
        (("no", "yes"), "Yes", None),
        (("no", "yes"), 1, None),
        (("no", "yes"), True, None),
        ((3, 7, 9), 7, 1),
        ((3, 7, 9), 7.0, 1),
        ((3, 7, 9), "7", 1),
        ((3, 7, 9), 7.5, None),
        ((3, 7, 9), "7.0", None),
        ((0, 1, 2), True, None),
        ((0, 1), True, 1),
        ((0, 1), "false", 0),
        (("0", "1"), 1, 1),
        (("0", "1"), True, None),
        ((False, True), True, 1),
        ((False, True), "true", 1),
        ((False, True), "False", 0),
        ((False, True), 0.0, 0),
        ((False, True), "1", 1),
        ((0.5, 1.0, 2.0), 1, 1),
        ((0.5, 1.0, 2.0), 0.5, 0),
        (("", "a"), "", 0),
    ],
)
def test_a_class_is_met_by_its_value_or_its_text(
    classes: tuple[Class, ...], truth: Class, place: int | None
) -> None:
    found = truths(*classes)
    found.check([truth])
    assert found.place(truth) == place


@pytest.mark.parametrize("truth", [None, [], {}, ["yes"], {"a": 1}, float("inf"), float("nan"), 1e39])
def test_what_can_be_no_truth_is_an_error_that_names_it(truth: Any) -> None:
    for found in (truths("no", "yes"), NUMBERS, Truths(None)):
        with pytest.raises(OipError, match=r"truth\[1\] has to be"):
            found.check([1, truth] if found is NUMBERS else ["yes", truth])


@pytest.mark.parametrize("truth", ["7", "", True])
def test_the_truth_of_a_regression_is_a_number(truth: Any) -> None:
    with pytest.raises(OipError, match=r"truth\[0\] has to be a finite number"):
        NUMBERS.check([truth])
    NUMBERS.check([7, -7.5, 3e38, -(2**63)])
