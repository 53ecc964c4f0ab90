"""The state of the API server goes back to an earlier moment, as when etcd is restored; the operator is restarted."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from unit.given.resources import a_training_job, a_world
from unit.given.world import World
from unit.inferenceservice.rollout.test_canary import GOOD, a_canary, after, measures


@contextmanager
def undone(world: World) -> Iterator[None]:
    """What happens inside has not happened, for the API server and so for the operator that is started then."""
    kept = copy.deepcopy(dict(world.api.objects))
    yield
    world.api.objects.clear()
    world.api.objects.update(kept)
    world.restart()


def test_a_rollout_goes_on_from_the_step_that_it_was_at() -> None:
    service = a_canary(replicas=1)
    stable, canary = service.revision("stable"), service.revision("canary")
    with undone(service.world):
        for _ in range(2):
            after(measures(service, GOOD), 130)
        assert service.version("stable") == "churn-2"

    service.settles()

    assert (service.revision("stable"), service.revision("canary"), service.traffic) == (
        stable,
        canary,
        stable,
    )
    assert (service.status["canary"]["step"], service.status["canary"]["weight"]) == (0, 10)
    for _ in range(2):
        after(measures(service, GOOD), 130)
    assert service.version("stable") == "churn-2"


def test_a_run_that_is_forgotten_is_run_again_under_its_number_and_one_that_is_known_is_not() -> None:
    job = a_training_job(a_world()).succeeds("a")
    with undone(job.world):
        job.changes(seed=1).succeeds("b")
        assert job.run["number"] == 2

    job.settles()
    assert (job.run["number"], job.reason, job.versions) == (1, "RunSucceeded", ["churn-1"])

    job.changes(seed=1).succeeds("b")
    assert (job.run["number"], job.versions) == (2, ["churn-1", "churn-2"])
