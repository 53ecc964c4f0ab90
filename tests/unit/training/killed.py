"""Runs a program that kills its children at each line of the code under test, one line after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Before the program: `dying_at(line)` is a trace function that ends the process at that line of the files in OWN.
DYING_AT = """
import os, sys

def dying_at(line):
    seen = 0
    def trace(frame, event, arg):
        nonlocal seen
        if frame.f_code.co_filename not in OWN:
            return None
        seen += event == "line"
        if seen == line:
            os._exit(9)
        return trace
    return trace
"""


def lines_survived(program: str, folder: Path) -> int:
    """Runs the program with the folder as its argument. Returns the number of lines that it prints in the end."""
    finished = subprocess.run(
        [sys.executable, "-c", DYING_AT + program, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout)
