"""What becomes of tokens over time: windows, models, ages, duplicates."""

from typing import Any

import numpy as np
import pytest

from modelwright_serving.feedback import feedback as module
from modelwright_serving.feedback.feedback import Feedback, Outcome
from modelwright_serving.feedback.keys import Key, Keys
from modelwright_serving.feedback.tokens import Issuer
from modelwright_serving.metrics import Metrics
from modelwright_serving.predictions import Predictions, Read
from modelwright_serving.rollout_view import render

OWN, CANARY = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
KEY = Key(bytes(16), "churn")
CLASSES = Predictions(("no", "yes"), 1, 0, 1)
HOUR, MAX_AGE = 490_000, 5 * 3600


class Clock:
    """Seconds of Unix time."""

    now = HOUR * 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", lambda: found.now)
    return found


@pytest.fixture
def feedback(clock: Clock) -> Feedback:
    found = Feedback(wanted=True, max_age_seconds=MAX_AGE)
    found.use(Keys(KEY, (KEY,)))
    found.follow(OWN, CLASSES)
    found.window = lambda: int(clock.now // 60)
    return found


def _count(feedback: Feedback, token: str, truth: Any) -> Outcome:
    outcome, _ = feedback.count(token, truth)
    return outcome


def token(digest: str = OWN, predictions: Predictions = CLASSES, value: float = 0.75) -> str:
    read = Read(np.array([1]), np.array([value], np.float32))
    return Issuer(digest, predictions.meaning).make(KEY, read, HOUR)[0].decode()


def test_a_token_expires_after_its_age_and_at_most_an_hour(feedback: Feedback, clock: Clock) -> None:
    for after, outcome in (
        (MAX_AGE, Outcome.COUNTED),
        (MAX_AGE + 3599, Outcome.COUNTED),
        (MAX_AGE + 3600, Outcome.EXPIRED),
        (-7200, Outcome.COUNTED),  # of a pod whose clock is ahead
    ):
        clock.now = HOUR * 3600.0 + after
        assert _count(feedback, token(), "yes") is outcome


def test_what_comes_back_is_counted_in_the_window_of_its_arrival(feedback: Feedback, clock: Clock) -> None:
    tokens, first = [token() for _ in range(6)], int(clock.now // 60)
    for minute in range(5):
        assert _count(feedback, tokens[minute], "yes") is Outcome.COUNTED
        assert _count(feedback, tokens[0], "yes") is Outcome.DUPLICATE
        clock.now += 60
    assert feedback.ids() == [first + 2, first + 3, first + 4]
    part = feedback.part(first + 4)
    assert part["outcomes"] == {"Counted": 1, "Duplicate": 1, "Forged": 0, "Expired": 0, "UnknownLabel": 0}
    assert part["feedback"]["abababab"]["confusion"] == [[1, 1, 1]]
    assert feedback.part(first) == {"feedback": {}, "outcomes": {}}
    feedback.forget()
    assert feedback.ids() == []
    assert _count(feedback, tokens[4], "yes") is Outcome.DUPLICATE
    assert feedback.totals[Outcome.COUNTED] == 5


def test_what_arrives_while_no_one_asks_is_in_the_first_window(feedback: Feedback, clock: Clock) -> None:
    asked, feedback.window = feedback.window, lambda: None
    for _ in range(3):
        assert _count(feedback, token(), "yes") is Outcome.COUNTED
        clock.now += 3600
    assert feedback.ids() == []
    feedback.window = asked
    (window,) = feedback.ids()
    assert window == int(clock.now // 60)
    assert feedback.part(window)["outcomes"]["Counted"] == 3
    assert feedback.part(window)["feedback"]["abababab"]["labels"] == 3


def test_only_what_was_never_reported_outlives_the_windows(feedback: Feedback, clock: Clock) -> None:
    assert _count(feedback, token(), "yes") is Outcome.COUNTED
    assert len(feedback.ids()) == 1  # reported
    for truth in ("no", "yes"):
        clock.now += 60
        delivery = feedback.begin()
        delivery.count(token(), truth)
        assert delivery.end()["counted"] == 1
    feedback.forget()
    (window,) = feedback.ids()
    found = feedback.part(window)
    assert found["outcomes"]["Counted"] == 2
    scores = found["feedback"]["abababab"]
    assert scores["confusion"] == [[1, 0, 1], [1, 1, 1]]
    assert (scores["labels"], scores["posts"], scores["postSquares"]) == (2, 2, 2)
    assert sum(scores["confidence"]) == sum(n for _, _, n in scores["scores"]) == scores["loss"]["n"] == 2
    feedback.forget()
    assert feedback.ids() == []


def test_a_truth_that_was_mistaken_can_be_sent_again(feedback: Feedback) -> None:
    found = token()
    assert _count(feedback, found, "Yes") is Outcome.UNKNOWN_LABEL
    assert _count(feedback, found, "yes") is Outcome.COUNTED
    assert _count(feedback, found, "no") is Outcome.DUPLICATE


def test_predictions_of_another_model_are_counted_apart(feedback: Feedback, clock: Clock) -> None:
    for truth in ("yes", "no", "no"):
        assert _count(feedback, token(CANARY), truth) is Outcome.COUNTED
    assert _count(feedback, token(), "yes") is Outcome.COUNTED
    found = feedback.part(int(clock.now // 60))["feedback"]
    assert {digest: scores["labels"] for digest, scores in found.items()} == {"cdcdcdcd": 3, "abababab": 1}


def test_predictions_of_other_classes_cannot_be_compared(feedback: Feedback) -> None:
    for other in (
        Predictions(("no", "yes", "perhaps"), None, 0, 1),
        Predictions(("yes", "no"), 1, 0, 1),
        Predictions(("no", "yes"), 0, 0, 1),
        Predictions((), None, None, 0),
    ):
        assert _count(feedback, token(predictions=other), "yes") is Outcome.UNKNOWN_LABEL


def test_many_models_take_bounded_room_and_the_own_one_keeps_its_place(
    feedback: Feedback, clock: Clock
) -> None:
    for number in range(30):
        assert _count(feedback, token(f"sha256:{number:08x}" + "0" * 56), "yes") is Outcome.COUNTED
    assert _count(feedback, token(), "yes") is Outcome.COUNTED
    found = feedback.part(int(clock.now // 60))["feedback"]
    assert len(found) == 9
    assert found["abababab"]["labels"] == 1


def test_counts_of_a_model_never_shrink_however_many_there_are(feedback: Feedback) -> None:
    def shown() -> dict[str, float]:
        return {labels["digest"]: value for _, labels, value in feedback.samples()}

    def come(number: int) -> None:
        assert _count(feedback, token(f"sha256:{number:08x}" + "0" * 56), "no") is Outcome.COUNTED

    assert _count(feedback, token(), "no") is Outcome.COUNTED
    for number in range(40):
        come(number)
        come(7)  # that of a canary, say, whose labels come all the time
    found = shown()
    assert len(found) == 32
    assert {"abababab", "00000007", "00000027"} <= found.keys()
    come(0)
    assert "00000000" not in shown()


def test_a_model_that_cannot_be_read_gives_no_tokens_and_knows_no_truth(feedback: Feedback) -> None:
    feedback.follow(OWN, None)
    assert _count(feedback, token(), "yes") is Outcome.UNKNOWN_LABEL


def test_the_state_says_whether_tokens_are_given(feedback: Feedback) -> None:
    assert feedback.state == "Ready"
    feedback.use(Keys(None, (KEY,)))
    assert feedback.state == "KeyMissing"
    assert _count(feedback, token(), "yes") is Outcome.COUNTED
    assert Feedback(wanted=False, max_age_seconds=1).state == "Off"


def test_a_rollout_shows_the_scores_of_both_models(feedback: Feedback) -> None:
    metrics = Metrics("churn", "1")
    metrics.feedback = feedback
    for labels in (("yes", "no"), ("yes",)):
        delivery = feedback.begin()
        for truth in labels:
            delivery.count(token(), truth)
        delivery.count(token(CANARY, value=0.5), "no")
        delivery.count("nothing", "no")
        assert delivery.end()["counted"] == len(labels) + 1
    found = [line.rpartition(" ") for line in render(metrics).decode().splitlines() if "feedback" in line]
    values = {name.removeprefix("modelwright_feedback_"): float(value) for name, _, value in found}
    loss = [2 * np.log(4 / 3) ** power + np.log(4) ** power for power in (1, 2)]
    of = 'digest="abababab"'
    assert {name: value for name, value in values.items() if of in name} == pytest.approx(
        {
            f'labels_total{{{of},right="true"}}': 2,
            f'labels_total{{{of},right="false"}}': 1,
            f'loss_total{{{of},kind="n"}}': 3,
            f'loss_total{{{of},kind="log"}}': loss[0],
            f'loss_total{{{of},kind="logSquare"}}': loss[1],
            f'posts_total{{{of},kind="n"}}': 2,
            f'posts_total{{{of},kind="squares"}}': 5,
        }
    )
    of = 'digest="cdcdcdcd"'
    assert {name: value for name, value in values.items() if of in name} == pytest.approx(
        {
            f'labels_total{{{of},right="false"}}': 2,
            f'loss_total{{{of},kind="n"}}': 2,
            f'loss_total{{{of},kind="log"}}': 2 * np.log(2),
            f'loss_total{{{of},kind="logSquare"}}': 2 * np.log(2) ** 2,
            f'posts_total{{{of},kind="n"}}': 2,
            f'posts_total{{{of},kind="squares"}}': 2,
        }
    )


def test_sums_of_a_regression_that_are_no_counts_are_left_out(feedback: Feedback) -> None:
    numbers = Predictions((), None, None, 0)
    feedback.follow(OWN, numbers)
    delivery = feedback.begin()
    delivery.count(token(predictions=numbers), 1e9)
    delivery.end()
    kinds = {(name, labels["kind"]) for name, labels, _ in feedback.samples()}
    assert kinds == {
        ("feedback_error_total", "n"),
        ("feedback_error_total", "abs"),
        ("feedback_posts_total", "n"),
        ("feedback_posts_total", "squares"),
    }
