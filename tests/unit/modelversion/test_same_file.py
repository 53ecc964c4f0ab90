"""A file whose gates have not passed is not served by writing a second ModelVersion of it without gates."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given import words
from unit.given.approvals import WHY, approves
from unit.given.resources import ModelVersion, a_training_job, a_world
from unit.given.world import World

LIMIT = {"name": "good", "metric": "roc_auc", "min": 0.9}
EVALUATE = {"uri": "configmap://x/y.csv", "target": "t"}


def evidence(value: float = 0.95) -> dict[str, Any]:
    return {"name": "good", "metric": "roc_auc", "value": value, "samples": 1000}


def a_failed_version(world: World | None = None, name: str = "churn-1") -> ModelVersion:
    """A version that a person has written with gates, and that fails them."""
    spec: dict[str, Any] = {"evaluate": EVALUATE, "defaultGates": "Disabled", "gates": [LIMIT]}
    return judged(world or a_world(), name, evidence(0.5), **spec)


def judged(
    world: World, name: str, found: dict[str, Any] | None, model: str = "churn", **spec: Any
) -> ModelVersion:
    """A version that a person has written, of the same file; the Job measures this."""
    version = ModelVersion(world, name, {"model": model, "artifact": words.artifact(), **spec}).settles()
    version.pod().ends("verify", words.verified(gates=[found] if found else []))
    return version.job_completes().settles()


def test_a_second_version_without_gates_is_refused() -> None:
    failed = a_failed_version()
    second = judged(failed.world, "churn-2", None)

    assert (second.reason, second.is_stalled) == ("SameFileRefused", True)
    assert second.message == (
        "ModelVersion churn-1 is the same file, and there gate good (roc_auc is 0.5, the limit is 0.9; 1,000 rows) "
        "fails; to let it through: modelwright approve churn-2 --override --reason ..., or evaluate and gates in "
        "another ModelVersion"
    )
    assert judged(failed.world, "fraud-1", None, model="fraud").reason == "SameFileRefused", (
        "of another family, too"
    )
    assert not second.looks_once()


def test_it_is_let_through_by_evidence_of_its_own() -> None:
    failed = a_failed_version()
    spec: dict[str, Any] = {
        "evaluate": EVALUATE,
        "defaultGates": "Disabled",
        "gates": [{**LIMIT, "min": 0.4}],
    }

    assert judged(failed.world, "churn-2", evidence(0.5), **spec).is_ready


@pytest.mark.parametrize(
    "gate",
    [
        {**LIMIT, "onInconclusive": "Allow"},
        {**LIMIT, "onInconclusive": "Allow", "min": None, "against": "Champion", "minChange": 0},
    ],
)
def test_gates_for_which_nothing_was_measured_are_no_evidence(gate: dict[str, Any]) -> None:
    failed = a_failed_version()
    given = {name: value for name, value in gate.items() if value is not None}
    found = {"name": "good", "metric": "roc_auc", "reason": "NoChampion"} if "against" in given else None

    second = judged(failed.world, "churn-2", found, evaluate=EVALUATE, defaultGates="Disabled", gates=[given])

    assert second.reason == "SameFileRefused"


def test_it_is_let_through_by_an_override_of_its_own_or_of_the_other() -> None:
    failed = a_failed_version()
    second, third = (judged(failed.world, name, None) for name in ("churn-2", "churn-3"))
    assert approves(second).reason == "SameFileRefused"

    assert approves(second, "bob", override=True, reason=WHY).reason == "Overridden"
    assert third.settles().reason == "SameFileRefused"

    approves(failed, override=True, reason=WHY)
    assert third.settles().is_ready


def test_an_override_that_does_not_count_for_the_other_does_not_count_for_it() -> None:
    terms: dict[str, Any] = {
        "approval": {"required": 0, "excludeAuthor": True},
        "lineage": {"author": "alice"},
    }
    failed = judged(a_world(), "churn-1", None, gates=[LIMIT], **terms)
    second = judged(failed.world, "churn-2", None)
    approves(failed, override=True, reason=WHY)

    assert (failed.reason, second.settles().reason) == ("GateInconclusive", "SameFileRefused")


def test_without_the_first_version_there_is_nothing_to_compare_with() -> None:
    failed = a_failed_version()
    second = judged(failed.world, "churn-2", None)
    failed.is_deleted()

    assert second.settles().is_ready


def test_what_was_there_before_stays_ready() -> None:
    world = a_world()
    first = judged(world, "churn-0", None)
    world.after(1)

    a_failed_version(world)

    assert first.settles().is_ready


def test_two_versions_that_fail_do_not_wait_for_each_other() -> None:
    world = a_world()
    first, second = a_failed_version(world), a_failed_version(world, "churn-2")
    for version in (first, second):
        assert version.settles().reason == "GateFailed"

    assert approves(first, override=True, reason=WHY).reason == "Overridden"
    assert second.settles().reason == "GateFailed"


def test_gates_that_are_not_judged_yet_count() -> None:
    world = a_world()
    first = ModelVersion(
        world, "churn-1", {"model": "churn", "artifact": words.artifact(), "gates": [LIMIT]}
    ).settles()

    assert judged(world, "churn-2", None).reason == "SameFileRefused"
    assert first.reason == "Verifying"


def test_another_file_at_the_place_of_the_first_says_nothing_of_this_one() -> None:
    world = a_world()
    ModelVersion(
        world, "churn-1", {"model": "churn", "artifact": words.artifact(), "gates": [LIMIT]}
    ).is_rejected()

    assert judged(world, "churn-2", None).is_ready


@pytest.mark.parametrize(("training_job", "reason"), [("churn", "Published"), ("other", "SameFileRefused")])
def test_only_a_run_of_the_same_training_job_has_gates_of_its_own(training_job: str, reason: str) -> None:
    world = a_world()
    lineage = {"trainingJob": training_job, "run": 7}
    judged(world, "by-hand", None, gates=[LIMIT], lineage=lineage)
    world.after(1)
    job = a_training_job(world, defaultGates="Disabled").succeeds(gates=[])

    assert ModelVersion.found(job.world, "churn-1").settles().reason == reason


def test_a_second_version_waits_for_the_approvals_of_the_first() -> None:
    first = judged(a_world(), "churn-1", None, approval={"required": 2})
    second = judged(first.world, "churn-2", None)

    assert (first.reason, second.reason) == ("AwaitingApproval", "SameFileRefused")
    assert second.message == (
        "ModelVersion churn-1 is the same file, and there are 0 of 2 approvals; to let it through: modelwright approve "
        "churn-2 --override --reason ..., or modelwright approve churn-1"
    )
    approves(first, "alice")
    assert second.settles().reason == "SameFileRefused"
    approves(second, "alice")
    assert second.settles().reason == "SameFileRefused", "the same person"
    approves(first, "bob")
    assert (first.is_ready, second.settles().is_ready) == (True, True)


def test_people_need_not_approve_the_same_file_twice() -> None:
    first = judged(a_world(), "churn-1", None, approval={"required": 2})
    second = judged(first.world, "churn-2", None, approval={"required": 2})

    approves(second, "alice")
    assert second.reason == "SameFileRefused"
    assert approves(second, "bob").is_ready
    assert first.settles().reason == "AwaitingApproval"


def test_evidence_takes_the_place_of_gates_but_not_of_people() -> None:
    first = judged(a_world(), "churn-1", None, approval={"required": 1})
    second = judged(
        first.world, "churn-2", evidence(), evaluate=EVALUATE, defaultGates="Disabled", gates=[LIMIT]
    )

    assert second.reason == "SameFileRefused"


def test_one_override_of_three_approvals_does_not_free_the_file() -> None:
    first = judged(a_world(), "churn-1", None, gates=[LIMIT], approval={"required": 3})
    second = judged(first.world, "churn-2", None)
    approves(first, override=True, reason=WHY)

    assert (first.reason, second.settles().reason) == ("AwaitingApproval", "SameFileRefused")


def test_an_override_counts_once_it_is_recorded() -> None:
    first = judged(a_world(), "churn-1", None, gates=[LIMIT])
    second = judged(first.world, "churn-2", None)
    said = {"by": "alice", "decision": "Approve", "reason": WHY, "override": True}
    first.world.api.edit(first.key, lambda body: body["spec"].update(approvals=[said]))
    first.world.watch()

    second.looks_once()

    assert second.reason == "SameFileRefused"


def test_an_object_of_another_release_does_not_break_it() -> None:
    failed = a_failed_version()
    second = judged(failed.world, "churn-2", None)
    failed.world.api.edit(
        failed.key, lambda body: body["status"].update(gates="later", conditions=[{"a": "b"}])
    )
    failed.world.watch()

    assert second.settles().reason == "SameFileRefused"
