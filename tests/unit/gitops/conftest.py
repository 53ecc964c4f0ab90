"""The program that runs what Argo CD and Flux run, once for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from support.gitops.tools import Tools
from unit.gitops.states import STATES


@pytest.fixture(scope="session")
def tools() -> Iterator[Tools]:
    if shutil.which("go") is None:
        pytest.skip("go is not installed: the tools are written in Go")
    with Tools() as program:
        yield program


@pytest.fixture(scope="session")
def bodies() -> dict[tuple[str, str], dict[str, Any]]:
    """An object in each state."""
    return {(kind, name): make().body for kind, states in STATES.items() for name, make in states.items()}
