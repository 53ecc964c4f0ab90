"""Compiles every server's modules before they are timed, as container images have them compiled."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import peers

import modelwright_serving


def compile_servers(names: Iterable[str]) -> None:
    """Ours and those peers', in the environments that they run in."""
    ours = [Path(sysconfig.get_path("platlib")), Path(modelwright_serving.__file__).parent]
    _compile(Path(sysconfig.get_path("scripts")) / "python", ours)
    for name in names:
        folder = peers.environment(name)
        _compile(folder / "bin" / "python", sorted(folder.glob("lib/python*/site-packages")))


def _compile(python: Path, folders: list[Path]) -> None:
    """What does not compile is no module but somebody's template, and no error."""
    subprocess.run([python, "-m", "compileall", "-qq", "-j2", *folders], check=False, timeout=600)
