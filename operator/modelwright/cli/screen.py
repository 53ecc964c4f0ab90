"""Writes the output of the commands: lines to stdout and stderr, or a page that is redrawn on a terminal."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType
from typing import TextIO

from modelwright.view.format import plain

ENTER, LEAVE, HOME = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[H\x1b[J"


def be_lenient() -> None:
    """Shows a replacement for characters that the terminal's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def show(lines: Iterable[str]) -> None:
    """Writes the result of the command to stdout."""
    _write(sys.stdout, lines)


def report(text: str) -> None:
    """Writes progress and complaints to stderr."""
    _write(sys.stderr, text.splitlines())


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    for line in lines:
        print(plain(line), file=stream, flush=True)


def is_terminal() -> bool:
    """True if stdout is a terminal."""
    return sys.stdout.isatty()


@contextmanager
def canvas() -> Iterator[None]:
    """A separate page on the terminal. The earlier content is restored afterwards, also after SIGTERM."""
    before = signal.signal(signal.SIGTERM, _terminated)
    sys.stdout.write(ENTER)
    try:
        yield
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, _frame: FrameType | None) -> None:
    """Exits by an exception, so that `canvas` restores the terminal."""
    sys.exit(128 + number)


def draw(lines: Iterable[str]) -> None:
    """Draws the lines on the canvas, cut to its size."""
    width, height = shutil.get_terminal_size()
    sys.stdout.write(HOME + "\n".join(clip(list(lines), width, height)))
    sys.stdout.flush()


def clip(lines: list[str], width: int, height: int) -> list[str]:
    """Returns the lines that fit on the terminal. If some do not, the last line counts them."""
    width, height = max(1, width), max(1, height)
    wrapped = [line[start : start + width] for line in map(plain, lines) for start in _starts(line, width)]
    if len(wrapped) <= height:
        return wrapped
    hidden = len(wrapped) - height + 1
    return [*wrapped[: height - 1], f"({hidden} more lines: make the window higher)"[:width]]


def _starts(line: str, width: int) -> range:
    return range(0, max(1, len(line)), width)
