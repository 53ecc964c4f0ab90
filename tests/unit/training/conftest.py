"""Gives each test a training pod of its own."""

from pathlib import Path

import pytest
from unit.training.pod import Pod


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)
