"""The programs of examples/, which are no packages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"


def program(folder: str, file: str) -> ModuleType:
    """A program of an example, as a module."""
    path = EXAMPLES / folder / file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look for the names of their annotations there
    spec.loader.exec_module(module)
    return module
