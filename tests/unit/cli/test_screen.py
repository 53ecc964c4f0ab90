"""What a terminal shows: all of it, or what fits, and nothing of others that would steer it."""

from __future__ import annotations

import signal

import pytest

from modelwright.cli import screen


def test_what_fits_is_shown_as_it_is_and_long_lines_go_on_below() -> None:
    assert screen.clip(["abcdef", "", "x"], 4, 9) == ["abcd", "ef", "", "x"]


def test_what_does_not_fit_is_counted() -> None:
    assert screen.clip([str(n) for n in range(10)], 80, 4) == [
        "0", "1", "2", "(7 more lines: make the window higher)",
    ]  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(1, 1), (80, 1), (0, 0), (3, 2)])
def test_no_window_is_too_small(width: int, height: int) -> None:
    assert len(screen.clip(["abc", "def"], width, height)) <= max(1, height)


def test_the_page_is_left_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    def watch() -> None:
        with screen.canvas():
            screen.draw(["a\x1b[31m"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch()
    out = capsys.readouterr().out
    assert out.startswith(screen.ENTER)
    assert out.endswith(screen.LEAVE)
    assert "a [31m" in out


def test_what_others_have_written_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show(["evil \x1b]0;title\x07"])
    screen.report("one\ntwo \x9b2J")
    told = capsys.readouterr()
    assert told.out == "evil  ]0;title \n"
    assert told.err == "one\ntwo  2J\n"


def test_a_process_that_is_ended_leaves_the_page_too(capsys: pytest.CaptureFixture[str]) -> None:
    def watch() -> None:
        with screen.canvas():
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"):
        watch()
    assert capsys.readouterr().out.endswith(screen.LEAVE)
    assert signal.getsignal(signal.SIGTERM) == before
