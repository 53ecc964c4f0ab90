"""No dump of memory holds credentials."""

import subprocess
import sys

from modelwright_stores import dumps

GET_DUMPABLE = 3
CODE = f"""
import ctypes
from modelwright_training import main
main.run_step = lambda name, *_: print(name, ctypes.CDLL(None).prctl({GET_DUMPABLE}, 0, 0, 0, 0))
main.main([{{name!r}}])
"""


def test_steps_that_have_credentials_leave_no_dump_of_their_memory() -> None:
    # That of this process may have been changed by a step that ran in it.
    usual = _said(f"import ctypes; print(ctypes.CDLL(None).prctl({GET_DUMPABLE}, 0, 0, 0, 0))")
    assert _said(CODE.format(name="fetch")) == "fetch 0"
    assert _said(CODE.format(name="train")) == f"train {usual}"
    assert dumps.SET_DUMPABLE == GET_DUMPABLE + 1


def _said(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
