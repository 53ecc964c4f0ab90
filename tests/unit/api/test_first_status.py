"""An object that the operator has not seen is in progress for Flux and kstatus, and gets its first status at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.given.resources import Resource, a_service, a_training_job, a_version, a_world

FRESH = pytest.mark.parametrize(
    "made", [a_training_job, a_version, a_service], ids=lambda made: made.__name__
)


@FRESH
def test_it_is_in_progress(made: Callable[..., Resource]) -> None:
    fresh = made(a_world())

    assert fresh.status == {"observedGeneration": -1}
    assert fresh.kstatus == "InProgress"


@FRESH
def test_the_first_plan_replaces_that_status(made: Callable[..., Resource]) -> None:
    seen = made(a_world()).settles()

    assert seen.status["observedGeneration"] == 1
    assert seen.condition("Ready")
