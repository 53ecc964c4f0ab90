"""What pods say is not trusted: whatever is no report of counts is refused, and sums are sums."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from unit.given.monitoring import WINDOW, a_window, document, labels, last_word

from modelwright.inferenceservice.monitoring import counts
from modelwright.inferenceservice.monitoring.kept import LARGEST, Kept, Labels, read, text
from modelwright.inferenceservice.monitoring.reports import read_last_word, read_report

NOW = 1_764_331_210.5
NUMBER = int(NOW) // WINDOW


def damaged(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A report with one window that has been changed."""
    window = a_window(NUMBER, **labels(80, 20))
    change(window)
    return document([window], NOW)


def feedback(**parts: Any) -> Callable[[dict[str, Any]], Any]:
    """A change of the feedback of the window."""
    return lambda window: next(iter(window["feedback"].values())).update(parts)


REFUSED: list[Any] = [
    None,
    [],
    {},
    {**document([], NOW), "window": True},
    {**document([], NOW), "now": "noon"},
    {**document([], NOW), "now": float("inf")},
    {**document([], NOW), "digest": 7},
    document([a_window(NUMBER - each) for each in range(4)], NOW),
    document([a_window(NUMBER), a_window(NUMBER)], NOW),
    document([a_window(NUMBER + 2)], NOW),
    damaged(lambda window: window.update(rows=-1)),
    damaged(lambda window: window.update(rows=1.0)),
    damaged(lambda window: window.update(rows=2**60)),
    damaged(lambda window: window.update(counted=1001)),
    damaged(lambda window: window.update(squares=float("nan"))),
    damaged(lambda window: window.update(features={"age": []})),
    damaged(lambda window: window.update(features=[[1]] * 1025)),
    damaged(lambda window: window["features"][0].__setitem__(0, 1001)),
    damaged(lambda window: window["features"][0].__setitem__(0, True)),
    damaged(lambda window: window["features"].append([0] * 65)),
    damaged(lambda window: window["predictions"].update(labels=[600, 600])),
    damaged(lambda window: window.update(outcomes={"Counted": -1})),
    damaged(lambda window: window.update(feedback={"m" * 65: {"labels": 1}})),
    damaged(feedback(confusion=[[0, 0, 101]])),
    damaged(feedback(confusion=[[0, 0]])),
    damaged(feedback(confusion=[["no", "no", 1]])),
    damaged(feedback(correct=[2], confidence=[1])),
    damaged(feedback(loss={"n": -1})),
]


@pytest.mark.parametrize("said", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_report_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_report(said, "pod")


def test_a_report_holds_what_was_said_and_nothing_else() -> None:
    window = a_window(NUMBER, **labels(80, 20), rows_of_callers=["secret"])
    report = read_report(document([window, a_window(NUMBER - 1, [0] * 10)], NOW), "pod")

    assert report.ids == (NUMBER,), "a window without traffic is left out"
    found = report.windows()[NUMBER]
    assert found["features"] == window["features"]
    assert found["feedback"] == window["feedback"]
    assert "rows_of_callers" not in found


@pytest.mark.parametrize(
    "message",
    [
        None,
        "",
        "the log ends here",
        '{"step":"serve","monitor":"?"}',
        json.dumps({"monitor": b64encode(zlib.compress(b"[]")).decode()}),
        json.dumps({"monitor": b64encode(zlib.compress(b" " * 50_000_000)).decode()}),
    ],
    ids=range(6),
)
def test_a_message_that_is_no_last_word_says_nothing(message: str | None) -> None:
    assert read_last_word(message, "pod") is None


def test_a_last_word_that_was_cut_is_completed_by_the_report_before() -> None:
    before = read_report(document([a_window(NUMBER)], NOW), "pod")
    cut = {**a_window(NUMBER), "rows": 1500, "features": None}
    word = read_last_word(last_word(document([cut], NOW + 1)), "pod")
    assert word is not None
    found = word.after(before)[NUMBER]

    assert (found["rows"], found["features"]) == (1500, a_window(NUMBER)["features"])


def test_sums_are_cell_by_cell_and_tables_by_their_keys() -> None:
    one, other = (counts.read(a_window(1, **labels(*shares))) for shares in ((80, 20), (5, 0)))
    both = counts.add(one, other)

    assert both["rows"] == 2000
    assert both["features"][0][:3] == [200, 200, 200]
    (scores,) = both["feedback"].values()
    assert (scores["labels"], scores["confusion"]) == (105, [[0, 0, 85], [1, 0, 20]])
    assert counts.add(one, {**other, "features": [[1, 0, 0, 0]]})["features"] == one["features"]


def test_sums_of_the_scores_of_predictions_are_cell_by_cell_too() -> None:
    one = {"predictions": {"labels": [3, 2], "scores": [1, 4], "confidence": [0, 5]}}
    assert counts.add(one, one) == {
        "predictions": {"labels": [6, 4], "scores": [2, 8], "confidence": [0, 10]}
    }


def test_the_text_of_the_largest_windows_keeps_to_its_bound_and_to_the_results() -> None:
    features = [[number % 97 + cell for cell in range(13)] for number in range(1024)]
    rows = max(map(sum, features))
    window = {"requests": rows, "rows": rows, "counted": rows, "features": features}
    table = [[predicted, true, predicted * true + 1] for predicted in range(40) for true in range(40)]
    scores = {"labels": sum(each[2] for each in table), "confusion": table}
    stretches = tuple(Labels(60 - start, 61 - start, scores, {"Counted": 7}) for start in range(24))
    kept = Kept(
        "r", "sha256:a", 60, 7, {8: window, 9: window, 10: window}, ("a" * 12,) * 900, labels=stretches
    )

    written = text(kept)
    again = read(written)

    assert len(written) <= LARGEST
    assert again is not None
    assert (again.closed, again.absorbed, set(again.open)) == (7, kept.absorbed, {8, 9, 10})
    assert sum(each.outcomes["Counted"] for each in again.labels) == 24 * 7
