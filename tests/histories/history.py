"""One history by its seed: a storm of whatever may happen, then calm, in which it has to end."""

from __future__ import annotations

from random import Random
from typing import Any

from histories.promises import BrokenPromiseError, Promises
from histories.world import REVISIONS, SHAPES, VERSIONS, World
from modelwright.api.inferenceservice import Analysis, InferenceServiceSpec, Rollout, ServedModel, Step
from modelwright.inferenceservice.revision.target import Unresolved
from modelwright.inferenceservice.rollout.rejections import blocking
from modelwright.inferenceservice.rollout.steps import planned

ACTIONS = ("promote", "promote-full", "abort", "pause", "resume", "retry", "undo", "nonsense")
MOST_CALM_LOOKS = 120


def a_spec(random: Random) -> InferenceServiceSpec:
    """Any promise about traffic."""
    return InferenceServiceSpec.model_construct(
        model=ServedModel.model_construct(version="churn-0", name=None, track=None),
        replicas=random.choice((0, 1, 1, 2, 4, 10)),
        resources=None,
        rollout=Rollout.model_construct(**_rollout(random)),
    )


def _rollout(random: Random) -> dict[str, Any]:
    strategy = random.choice(("Canary", "Canary", "Canary", "BlueGreen", "Replace"))
    weights = sorted(random.choice((0, 1, 5, 10, 33, 50, 99, 100)) for _ in range(random.randint(1, 4)))
    steps = {"Canary": weights, "BlueGreen": [0], "Replace": []}[strategy]
    return {
        "strategy": strategy,
        "steps": [
            Step.model_construct(
                weight=weight,
                hold_seconds=random.choice((0, 10, 60, 600)),
                mirror=random.choice((0, 0, 20)),
                approval=random.random() < 0.1,
            )
            for weight in steps
        ]
        or None,
        "analysis": _analysis(random),
        "traffic": None,
        "paused": random.random() < 0.05,
        "approved_revision": random.choice((None, *REVISIONS)) and random.choice(REVISIONS).revision,
        "bake_seconds": random.choice((0, 0, 60, 600)),
        "require_compatible_signature": None,
        "progress_deadline_seconds": random.choice((60, 600)),
        "scale_down_delay_seconds": random.choice((0, 30, 300)),
    }


def _analysis(random: Random) -> Analysis:
    return Analysis(
        max_error_rate=random.choice((0, 0.01, 0.2)),
        min_agreement=random.choice((None, None, 0.9)),
        max_restarts=random.choice((0, 2)),
        consecutive_failures=random.choice((1, 1, 3)),
        min_samples=random.choice((1, 100, 1000)),
        no_data_seconds=random.choice((10, 600)),
        on_no_data=random.choice(("Wait", "Pause", "Promote", "Rollback")),
    )


def history(seed: int) -> None:
    """Lives it through; BrokenPromiseError at the first promise that is not kept."""
    random = Random(seed)
    world = World(a_spec(random), newest=random.randrange(VERSIONS))
    promises = Promises(world)
    for look in range(random.randint(5, 40)):
        _something_happens(world, random, look)
        _look(world, promises, lost=random.random() < 0.1)
    _calm(world, promises)


def _look(world: World, promises: Promises, *, lost: bool = False) -> None:
    """The operator looks; in a crash, nothing that it decided is remembered."""
    observed, revisions = world.decide()
    promises.hold(revisions)
    if not lost:
        promises.remembered(revisions)
        world.remember(observed, revisions)


def _something_happens(world: World, random: Random, look: int) -> None:
    match random.randrange(17):
        case 0 | 12 | 13 as what:
            _something_else_is_wanted(world, random, what)
        case 1:
            changed = a_spec(random)
            world.spec = changed if random.random() < 0.3 else world.spec
            world.edit(paused=random.random() < 0.1)
        case 2:
            world.asks(random.choice(ACTIONS), random)
        case 3 if world.deployments:
            pods = random.choice([*world.deployments.values()])
            pods.ready = random.randint(0, pods.asked)
        case 4 if world.deployments:
            pods = random.choice([*world.deployments.values()])
            pods.restarts, pods.crashed = pods.restarts + 1, world.now
        case 5 | 6:
            world.measure(look, **_counts(random))
        case 7 | 8 | 9:
            world.all_ready()
        case 11 | 14:
            world.scales(random.choice((0, 1, 2, 3, 5, 10)))
        case 10:
            world.refused = random.random() < 0.5
        case _:
            world.after(random.choice((1, 5, 30, 120, 700)))


def _something_else_is_wanted(world: World, random: Random, what: int) -> None:
    """Another version, another shape of pod, or what a family brings."""
    match what:
        case 0:
            world.names(random.choice((None, *range(VERSIONS))))
        case 12:
            world.reshapes(random.randrange(SHAPES))
        case _:
            world.newest = min(world.newest + 1, VERSIONS - 1)


def _counts(random: Random) -> dict[str, Any]:
    total = random.choice((0, 3, 100, 2000))
    failed = random.choice((0, 0, 0, total // 200, total // 3, total))
    labels = random.choice((0, 0, total))
    agreeing = random.choice((labels, labels, labels // 2))
    return {
        "delegated": {"Answered": total - failed, "Failed": failed},
        "answered": {"200": total - failed, "500": failed},
        "shadowed": {"Compared": labels},
        "labelled": labels,
        "agreement": float(agreeing),
        "non_finite": random.choice((0, 0, 0, 0, 3)) if labels else 0,
    }


def _calm(world: World, promises: Promises) -> None:
    """Pods come up, all is well, people let it go on: within bounds nothing is under way any more."""
    world.asked, world.refused = None, False
    for look in range(1000, 1000 + MOST_CALM_LOOKS):
        if world.spec.replicas == 0:  # a step rests until there are pods
            world.scales(1)
        world.all_ready()
        canary = world.status.canary
        approved = canary.revision if canary is not None else None
        if world.spec.rollout.paused or world.spec.rollout.approved_revision != approved:
            world.edit(paused=False, approved_revision=approved)
        good = {"delegated": {"Answered": 10**5}, "answered": {"200": 10**5}, "shadowed": {"Compared": 10**4}}
        world.measure(look, **good, labelled=10**4, agreement=1e4)
        _look(world, promises)
        if world.status.canary is not None and world.status.canary.paused:
            world.asked = f"resume@{world.status.canary.revision}#calm{look}"
        if _has_ended(world):
            return
        world.after(400)
    raise BrokenPromiseError(f"it does not end: {world.status}")


def _has_ended(world: World) -> bool:
    """The revision that is asked for serves or was given up, and nothing is left to come."""
    status = world.status
    failed = status.canary is not None and status.canary.state == "Failed"
    target = world.target
    if isinstance(target, Unresolved):
        return status.canary is None
    if status.stable is None:
        return failed
    if status.retired is not None or status.stable.bake_until is not None:
        return False
    is_over = status.stable.revision == target.revision or blocking(status.rejected or (), target) is not None
    return failed or (status.canary is None and is_over)


def described(seed: int) -> str:
    """What a history was about, for the one who has to understand it."""
    spec = a_spec(Random(seed))
    weights = [step.weight for step in planned(spec)]
    return f"seed {seed}: {spec.rollout.strategy} {weights}, {spec.replicas} replicas"
