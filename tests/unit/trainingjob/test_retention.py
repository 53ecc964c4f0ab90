"""Which ModelVersions of a TrainingJob are kept, and why: a table of cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from unit.given import words

from modelwright.common.indexes import INDEXES
from modelwright.common.resources import (
    INFERENCE_SERVICES,
    MODEL,
    MODEL_VERSIONS,
    TRAINING_JOB,
    TRAINING_JOBS,
)
from modelwright.common.times import to_timestamp
from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.cache import Cache
from modelwright.engine.objects import Body, ResourceType, name
from modelwright.trainingjob.retention import (
    file_objection,
    is_made_by,
    lined_up,
    made_by,
    namesake,
    objection,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY = {"type": "Ready", "status": "True"}
QUARANTINED = {"type": "Quarantined", "status": "True", "message": "rolled back"}
Change = Callable[[dict[str, Any]], object]


def a_body(resource: ResourceType, body_name: str, **parts: Any) -> dict[str, Any]:
    metadata = {
        "name": body_name,
        "namespace": "team",
        "uid": f"uid-{body_name}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": to_timestamp(NOW - timedelta(days=1)),
    }
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **parts}


def a_version(run: int, *conditions: dict[str, str], letter: str = "a") -> dict[str, Any]:
    """A version that a run of churn made a day ago."""
    made = to_timestamp(NOW - timedelta(days=1, minutes=1))
    body = a_body(
        MODEL_VERSIONS,
        f"churn-{run}",
        spec={
            "model": "churn",
            "artifact": words.artifact(letter=letter),
            "lineage": {"trainingJob": "churn", "run": run, "completionTime": made},
        },
        status={"conditions": [READY, *conditions]},
    )
    body["metadata"]["labels"] = {MANAGED_BY: MANAGER, TRAINING_JOB: "churn", MODEL: "churn"}
    return body


def a_service(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return a_body(
        INFERENCE_SERVICES,
        "shop",
        spec={"model": {"version": "other"}, "rollout": {"scaleDownDelaySeconds": 600}, **(spec or {})},
        status={"observedGeneration": 1, **status},
    )


def a_revision(version: str = "churn-1", letter: str = "a", **parts: Any) -> dict[str, Any]:
    return {"version": version, "revision": "r", "artifact": words.artifact(letter=letter), **parts}


def a_view(*bodies: dict[str, Any]) -> Cache:
    view = Cache(indexes=INDEXES)
    kinds = {resource.kind: resource for resource in (MODEL_VERSIONS, INFERENCE_SERVICES, TRAINING_JOBS)}
    for body in bodies:
        view.put(kinds[body["kind"]], body)
    return view


def a_decision(verdict: str, minutes_ago: float) -> dict[str, Any]:
    return {"verdict": verdict, "at": to_timestamp(NOW - timedelta(minutes=minutes_ago)), "revision": "r"}


SERVICES: dict[str, tuple[dict[str, Any], str | None]] = {
    "serves another one": (a_service(stable=a_revision("churn-2", "b")), None),
    "serves it": (a_service(stable=a_revision()), "InferenceService shop needs it"),
    "has it as canary": (a_service(canary=a_revision()), "InferenceService shop needs it"),
    "may try a failed canary again": (
        a_service(canary=a_revision(state="Failed")),
        "InferenceService shop needs it",
    ),
    "may go back to it": (a_service(retired=a_revision()), "InferenceService shop needs it"),
    "names it": (a_service({"model": {"version": "churn-1"}}), "InferenceService shop needs it"),
    "rejected it": (
        a_service(rejected=[{"version": "churn-1", "digest": words.digest("c"), "quarantine": False}]),
        "InferenceService shop needs it",
    ),
    "rejected its file": (
        a_service(rejected=[{"version": "other", "digest": words.digest("a")}]),
        "InferenceService shop rejected it",
    ),
    "has not been reconciled": (
        a_service(observedGeneration=0),
        "the status of InferenceService shop does not show yet what that needs",
    ),
    "was restored without its status": (
        {**a_service(), "status": {}},
        "the status of InferenceService shop does not show yet what that needs",
    ),
    "was written by another release": (
        a_service(stable="churn-1"),
        "the status of InferenceService shop does not show yet what that needs",
    ),
    "had one change of the traffic": (
        a_service({"model": {"name": "churn"}}, lastDecision=a_decision("Promote", 1)),
        None,
    ),
    "had two changes of the traffic in the window": (
        a_service(
            {"model": {"name": "churn"}},
            lastDecision=a_decision("Promote", 1),
            history=[a_decision("Advance", 5), a_decision("Promote", 9)],
        ),
        "the traffic of InferenceService shop changed twice within its rollback window",
    ),
    "had two changes, one before the window": (
        a_service(
            {"model": {"name": "churn"}},
            lastDecision=a_decision("Promote", 1),
            history=[a_decision("Promote", 11)],
        ),
        None,
    ),
    "had two changes, and has nothing to do with the family": (
        a_service(lastDecision=a_decision("Rollback", 1), history=[a_decision("Promote", 2)]),
        None,
    ),
    "had two changes, and serves a sibling": (
        a_service(
            stable=a_revision("churn-2", "b"),
            lastDecision=a_decision("Rollback", 1),
            history=[a_decision("Promote", 2)],
        ),
        "the traffic of InferenceService shop changed twice within its rollback window",
    ),
}


@pytest.mark.parametrize(("service", "kept"), SERVICES.values(), ids=SERVICES)
def test_a_version_is_kept_while_a_service_may_need_it(service: dict[str, Any], kept: str | None) -> None:
    siblings = [a_version(2, letter="b"), a_version(1)]
    view = a_view(service, *siblings)

    found = objection(view, siblings[1], siblings, NOW)

    assert (found.message if found else None) == kept


def restored(minutes_ago: float) -> Change:
    made = to_timestamp(NOW - timedelta(minutes=minutes_ago))
    return lambda version: version["metadata"].update(creationTimestamp=made)


MARKS: dict[str, tuple[Change, str | None]] = {
    "nothing": (lambda _: None, None),
    "alias": (lambda version: version["status"].update(aliases=["champion"]), "it has an alias"),
    "no alias": (lambda version: version["status"].update(aliases=[]), None),
    "approval": (
        lambda version: version["spec"].update(approvals=[{"by": "ann"}]),
        "it has an approval",
    ),
    "quarantined": (lambda version: version["status"]["conditions"].append(QUARANTINED), "it is quarantined"),
    "in use": (
        lambda version: version["status"]["conditions"].append(
            {"type": "InUse", "status": "True", "message": "InferenceService a serves it"}
        ),
        "InferenceService a serves it",
    ),
    "going": (
        lambda version: version["metadata"].update(deletionTimestamp=to_timestamp(NOW)),
        "it is being deleted",
    ),
    "restored a moment ago": (restored(1), "it was restored from a backup within the last hour"),
    "restored an hour ago": (restored(60), None),
    "made without a time": (lambda version: version["spec"]["lineage"].pop("completionTime"), None),
    "made at no time": (lambda version: version["spec"]["lineage"].update(completionTime="soon"), None),
}


@pytest.mark.parametrize(("change", "kept"), MARKS.values(), ids=MARKS)
def test_a_version_is_kept_for_what_it_says_itself(change: Change, kept: str | None) -> None:
    version = a_version(1)
    change(version)

    found = objection(a_view(version), version, [version], NOW)

    assert (found.message if found else None) == kept


@pytest.mark.parametrize("resource", [INFERENCE_SERVICES, MODEL_VERSIONS], ids=lambda kind: kind.kind)
def test_what_cannot_be_seen_keeps_everything(resource: ResourceType) -> None:
    version = a_version(1)
    view = a_view(version)
    view.blind(resource, "Forbidden")

    for found in (
        objection(view, version, [version], NOW),
        file_objection(view, "team", words.artifact(), NOW),
    ):
        assert found is not None
        assert found.message == f"the operator cannot see {resource.plural} (Forbidden)"
        assert found.until is None


def test_a_reason_that_ends_by_itself_says_when() -> None:
    version = a_version(1)
    restored(1)(version)
    twice = SERVICES["had two changes of the traffic in the window"][0]

    backup = objection(a_view(version), version, [version], NOW)
    window = objection(a_view(twice), a_version(1), [], NOW)

    assert backup is not None
    assert backup.until == NOW + timedelta(minutes=59)
    assert window is not None
    assert window.until == NOW + timedelta(minutes=1)


BEYOND: dict[str, tuple[list[dict[str, Any]], int, list[str]]] = {
    "none": ([], 1, []),
    "as many as are kept": ([a_version(2), a_version(1)], 2, []),
    "one more": ([a_version(3), a_version(2), a_version(1)], 2, ["churn-1"]),
    "a lowered limit": ([a_version(run) for run in (4, 3, 2, 1)], 1, ["churn-3", "churn-2", "churn-1"]),
    "one that was quarantined does not count": (
        [a_version(3, QUARANTINED), a_version(2), a_version(1)],
        1,
        ["churn-1"],
    ),
    "one that is not Ready does not count": (
        [{**a_version(2), "status": {}}, a_version(1)],
        1,
        [],
    ),
    "one that is not Ready and old goes": ([a_version(2), {**a_version(1), "status": {}}], 1, ["churn-1"]),
}


@pytest.mark.parametrize(("versions", "limit", "older"), BEYOND.values(), ids=BEYOND)
def test_the_newest_that_can_be_served_are_kept(
    versions: list[dict[str, Any]], limit: int, older: list[str]
) -> None:
    assert [name(version) for version in lined_up(versions).beyond(limit)] == older


def without_label(label: str) -> Change:
    return lambda version: version["metadata"]["labels"].pop(label)


STRANGERS: dict[str, Change] = {
    "not labelled as ours": without_label(MANAGED_BY),
    "not labelled as of a job": without_label(TRAINING_JOB),
    "no lineage": lambda version: version["spec"].pop("lineage"),
    "of another job": lambda version: version["spec"]["lineage"].update(trainingJob="other"),
    "of another run": lambda version: version["spec"]["lineage"].update(run=7),
    "a copy": lambda version: version["metadata"].update(name="golden"),
}


@pytest.mark.parametrize("change", STRANGERS.values(), ids=STRANGERS)
def test_what_no_run_of_the_job_made_is_never_counted(change: Change) -> None:
    version = a_version(1)
    assert is_made_by(version, "churn")

    change(version)

    assert not is_made_by(version, "churn")


def test_versions_are_in_the_order_of_their_runs() -> None:
    job: Body = a_body(TRAINING_JOBS, "churn", spec={})
    view = a_view(*(a_version(run) for run in (2, 10, 9)), a_body(MODEL_VERSIONS, "by-hand", spec={}))

    assert [name(version) for version in made_by(view, job).versions] == ["churn-10", "churn-9", "churn-2"]


def test_a_file_is_needed_by_whoever_names_its_digest_in_the_claim() -> None:
    other = a_version(7)
    other["spec"]["artifact"]["uri"] = "pvc://modelwright-artifacts/elsewhere/model.onnx"
    elsewhere = a_version(8)
    elsewhere["spec"]["artifact"]["uri"] = "pvc://another/churn/model.onnx"

    assert namesake(a_view(other), "team", words.artifact()) == "churn-7"
    assert namesake(a_view(elsewhere), "team", words.artifact()) is None
    assert namesake(a_view(a_version(9, letter="b")), "team", words.artifact()) is None


@pytest.mark.parametrize("role", ["stable", "canary", "retired"])
def test_a_file_is_needed_while_a_service_has_a_revision_of_it(role: str) -> None:
    service = a_service(**{role: a_revision("gone", state="Failed")})

    found = file_objection(a_view(service), "team", words.artifact(), NOW)

    assert found is not None
    assert found.message == "InferenceService shop needs it"
    assert file_objection(a_view(service), "team", words.artifact(letter="b"), NOW) is None


def a_withheld_version(run: int, reason: str = "GateFailed") -> dict[str, Any]:
    version = a_version(run)
    version["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": reason}]
    return version


@pytest.mark.parametrize("reason", ["GateFailed", "GateInconclusive", "AwaitingApproval", "Rejected"])
def test_versions_that_gates_or_people_hold_back_are_kept_up_to_the_limit_too(reason: str) -> None:
    made = lined_up([*(a_withheld_version(run, reason) for run in (1, 2, 4, 5, 6)), a_version(3)])

    assert [name(version) for version in made.beyond(2)] == ["churn-4", "churn-2", "churn-1"]
    assert [name(version) for version in made.beyond(1)] == ["churn-5", "churn-4", "churn-2", "churn-1"]
    assert made.beyond(5) == ()


def test_versions_of_which_nothing_is_known_yet_are_all_kept() -> None:
    made = lined_up([{**a_version(run), "status": {}} for run in range(1, 9)])

    assert made.beyond(2) == ()
