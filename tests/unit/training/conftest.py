"""Gives each test a training pod of its own."""

from pathlib import Path

import pytest
from unit.training.pod import Pod, numbers


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


@pytest.fixture
def ready(pod: Pod) -> Pod:
    """A pod whose data is there, before a trainer of the user's own has run."""
    pod.given_rows(numbers(100)).given(trainer={"image": "mine"})
    assert pod.run("fetch").code == 0
    return pod
