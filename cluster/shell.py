"""Runs other programs to their end and turns a failure into one error that says what to read."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class StepError(Exception):
    """Something that the user has to know about: what went wrong and where to look."""


def run(
    command: Sequence[str | Path],
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    timeout: float = 1800,
) -> str:
    """Return what the command printed; with a log, everything it said is there as well."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise StepError(f"{words[0]} is not installed: install it and try again") from missing
    except subprocess.TimeoutExpired as late:
        raise StepError(f"`{' '.join(words[:4])}` did not end within {timeout:.0f} s") from late
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}")
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        where = f"\nThe whole output is in {log}" if log else ""
        raise StepError(f"`{' '.join(words[:6])}` ended with exit code {done.returncode}:\n{said}{where}")
    return done.stdout


def succeeds(command: Sequence[str | Path], timeout: float = 20) -> bool:
    """Whether a command that only asks a question says yes."""
    try:
        run(command, timeout=timeout)
    except StepError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Ask again and again until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StepError(f"{otherwise} (waited {seconds:.0f} s)")
        time.sleep(0.2)
