"""Runs the installed command `modelwright` as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from support.kubectl import KUBECONFIG

PROGRAMS = Path(sys.executable).parent
# A shell has what it runs in the background ignore Ctrl-C, and children inherit that: also those of the tests.
FOREGROUND = ("env", "--default-signal=INT")


@dataclass(frozen=True)
class CommandLine:
    """The program, bound to a namespace by the kubeconfig's own context, as kubectl is."""

    kubeconfig: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def start(self, *words: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Starts a command."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PYTHONUNBUFFERED": "1", **self.env}
        return subprocess.Popen(
            [*FOREGROUND, str(PROGRAMS / "modelwright"), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rollout(self, *words: str, code: int = 0, within: float = 120) -> str:
        """Runs `modelwright rollout ...`, which must end with this code; gives all that it said."""
        return ended(self.start("rollout", *words), code, within)


def ended(running: subprocess.Popen[str], code: int, within: float = 120) -> str:
    """What a command said that has to end with this code, and without a traceback."""
    with running:
        try:
            out, err = running.communicate(timeout=within)
        finally:
            running.kill()
    assert running.returncode == code, f"{running.args!r} ended with {running.returncode}:\n{out}\n{err}"
    assert "Traceback" not in err, err
    return out + err


def bound(namespace: str, folder: Path, **user: str) -> CommandLine:
    """The command line of somebody whose current namespace this is; `user`: other credentials than our own."""
    config = yaml.safe_load(KUBECONFIG.read_text())
    for each in config["contexts"]:
        each["context"]["namespace"] = namespace
    if user:
        for each in config["users"]:
            each["user"] = user
    copied = folder / "kubeconfig"
    copied.write_text(yaml.safe_dump(config))
    return CommandLine(copied)
