"""Where the command line writes: a picture that is drawn anew on a terminal, a line for each change elsewhere."""

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
    """Lets a terminal that lacks a letter show another one instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(lines: Iterable[str]) -> None:
    """Writes what was asked for."""
    _write(sys.stdout, lines)


def tell(text: str) -> None:
    """Writes what is said about it: progress, and complaints."""
    _write(sys.stderr, text.splitlines())


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    for line in lines:
        print(plain(line), file=stream, flush=True)


def is_terminal() -> bool:
    """Whether somebody looks at it."""
    return sys.stdout.isatty()


@contextmanager
def canvas() -> Iterator[None]:
    """A page of its own on the terminal; what stood there is back afterwards, also when the process is ended."""
    before = signal.signal(signal.SIGTERM, _terminated)
    sys.stdout.write(ENTER)
    try:
        yield
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, _frame: FrameType | None) -> None:
    """Unwinds, so that the page is left."""
    sys.exit(128 + number)


def draw(lines: Iterable[str]) -> None:
    """Draws on the canvas what fits."""
    width, height = shutil.get_terminal_size()
    sys.stdout.write(HOME + "\n".join(clip(list(lines), width, height)))
    sys.stdout.flush()


def clip(lines: list[str], width: int, height: int) -> list[str]:
    """As much of the lines as a terminal shows; the last line tells how many it does not."""
    width, height = max(1, width), max(1, height)
    wrapped = [line[start : start + width] for line in map(plain, lines) for start in _starts(line, width)]
    if len(wrapped) <= height:
        return wrapped
    hidden = len(wrapped) - height + 1
    return [*wrapped[: height - 1], f"({hidden} more lines: make the window higher)"[:width]]


def _starts(line: str, width: int) -> range:
    return range(0, max(1, len(line)), width)
