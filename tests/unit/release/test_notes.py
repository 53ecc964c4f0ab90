"""Release notes are what was committed since the release before."""

from __future__ import annotations

from release.notes import MOST_SUBJECTS, notes, previous


def test_the_release_before_is_the_newest_other_tag() -> None:
    assert previous(["v0.3.0", "v0.2.1", "v0.2.0"], "0.3.0") == "v0.2.1"
    assert previous(["v0.2.1", "v0.2.0"], "0.3.0") == "v0.2.1"
    assert previous(["v0.1.0"], "0.1.0") is None
    assert previous([], "0.1.0") is None


def test_notes_list_the_changes_and_the_files() -> None:
    text = notes("1.0.0", "v0.9.0", ["Do this", "Do that"], [("a.tgz", "the chart")])
    assert "## Changes since v0.9.0\n\n* Do this\n* Do that\n\n" in text
    assert "| `a.tgz` | the chart |" in text


def test_notes_are_bounded() -> None:
    text = notes("1.0.0", None, [f"Change {number}" for number in range(MOST_SUBJECTS + 7)], [])
    assert "* and 7 more" in text
    assert f"* Change {MOST_SUBJECTS}\n" not in text
