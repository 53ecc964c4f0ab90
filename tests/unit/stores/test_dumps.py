"""No dump of memory holds credentials."""

import ctypes
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
    here = ctypes.CDLL(None).prctl(GET_DUMPABLE, 0, 0, 0, 0)
    for name in ("fetch", "train"):
        command = [sys.executable, "-c", CODE.format(name=name)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        assert said == f"{name} {here if name == 'train' else 0}\n"
    assert dumps.SET_DUMPABLE == GET_DUMPABLE + 1
