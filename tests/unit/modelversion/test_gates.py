"""The gates of a ModelVersion: what was measured for them decides, and nothing else lets it through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from unit.given import words
from unit.given.approvals import WHY, approves
from unit.given.resources import ModelVersion, a_training_job, a_version, a_world

from modelwright.api.gates import GateStatus
from modelwright.api.rundocument import terms_hash
from modelwright.common.report import FileReport
from modelwright.common.resources import MODEL_VERSIONS, TRAINING_JOBS
from modelwright.engine.objects import Key
from modelwright.modelversion.gates import judged_in_status

BASELINE: Mapping[str, Any] = {
    "name": "better-than-baseline", "metric": "main", "against": "Baseline", "minChange": 0,
}  # fmt: skip
CHAMPION: Mapping[str, Any] = {
    "name": "not-worse-than-champion", "metric": "main", "against": "Champion", "minChange": 0,
    "onInconclusive": "Allow",
}  # fmt: skip
LIMIT: Mapping[str, Any] = {"name": "good", "metric": "roc_auc", "min": 0.9}
EVALUATE = {"uri": "configmap://x/y.csv", "target": "t"}
OVERRIDE = "to let it through: modelwright approve churn-1 --override --reason ..."


def evidence(name: str = "good", value: float | None = 0.95, **parts: Any) -> dict[str, Any]:
    """Evidence from 1,000 rows."""
    numbers = (
        {}
        if value is None
        else {"value": value, "low": round(value - 0.01, 6), "high": round(value + 0.01, 6)}
    )
    return {"name": name, "metric": "roc_auc", "samples": 1000, **numbers, **parts}


BETTER = evidence("better-than-baseline", 0.4, measured=0.9, reference=0.5, against="Baseline")
SHUFFLED = evidence(
    "better-than-baseline", -0.026, low=-0.09, high=0.04, measured=0.474, reference=0.5, against="Baseline", samples=200
)  # fmt: skip
ALONE = evidence("not-worse-than-champion", None, reason="NoChampion")


def made_by_a_run(gates: list[Mapping[str, Any]], found: list[dict[str, Any]], **spec: Any) -> ModelVersion:
    """A version with these gates whose run has written them, and measured this."""
    job = a_training_job(a_world()).settles()
    job.pod().finishes(words.published(gates=found))
    job.job_completes().settles()
    key = Key(MODEL_VERSIONS, "team", "churn-1")
    body = job.world.api.objects[key]
    job.world.drop(key)
    kept = {name: body["spec"][name] for name in ("model", "artifact", "lineage")}
    terms = {"gates": [dict(gate) for gate in gates], "defaultGates": "Disabled", **spec}
    digest = terms_hash(terms)
    job.world.api.edit(
        Key(TRAINING_JOBS, "team", "churn"), lambda job: job["status"]["run"].update(termsHash=digest)
    )
    job.world.watch()
    return ModelVersion(job.world, "churn-1", {**kept, **terms}, labels=body["metadata"]["labels"]).settles()


def by_hand(**spec: Any) -> ModelVersion:
    """A version that a person has written."""
    return ModelVersion(a_world(), "churn-1", {"model": "churn", "artifact": words.artifact(), **spec})


def stands(version: ModelVersion) -> tuple[str, str, str, str]:
    """Ready, its reason, and what Flux makes of it; and Validated."""
    return (
        version.condition()["status"],
        version.reason,
        version.kstatus,
        version.condition("Validated")["status"],
    )


def verdicts(version: ModelVersion) -> dict[str, tuple[str, str]]:
    return {gate["name"]: (gate["verdict"], gate["reason"]) for gate in version.status["gates"]}


def test_gates_that_pass_let_it_through() -> None:
    version = made_by_a_run([LIMIT, BASELINE, CHAMPION], [evidence(), BETTER, ALONE])

    assert stands(version) == ("True", "Published", "Current", "True")
    assert version.condition("Validated")["reason"] == "GatesPassed"
    assert version.condition("Validated")["message"] == (
        "3 gates pass; ONNX Runtime answers what the trainer's library predicts"
    )
    assert version.status["gates"][1] == {
        "name": "better-than-baseline", "metric": "roc_auc", "verdict": "Pass", "reason": "WithinLimit", "value": 0.4,
        "low": 0.39, "high": 0.41, "threshold": 0, "measured": 0.9, "reference": 0.5, "against": "Baseline",
        "samples": 1000, "source": "Measured", "onInconclusive": "Hold",
    }  # fmt: skip
    assert verdicts(version)["not-worse-than-champion"] == ("Pass", "NoChampion")


def test_a_model_of_shuffled_labels_is_not_ready_and_says_how_to_let_it_through() -> None:
    version = made_by_a_run([BASELINE, CHAMPION], [SHUFFLED, ALONE])

    assert stands(version) == ("False", "GateInconclusive", "InProgress", "Unknown")
    numbers = (
        "gate better-than-baseline (roc_auc 0.474 is not clearly above the baseline's 0.5: the difference is -0.026 "
        "(-0.09 to 0.04); 200 rows, about 1,289 would decide) is inconclusive"
    )
    assert (
        version.message
        == f"{numbers}; {OVERRIDE}, or defaultGates: Disabled in TrainingJob churn for its next runs"
    )
    assert version.condition("Validated")["message"] == numbers
    assert version.status["score"] == "roc_auc 0.95 (0.9 to 0.98), baseline 0.5", (
        "its numbers are shown all the same"
    )


def test_a_gate_that_fails_stops_it() -> None:
    version = made_by_a_run([LIMIT, BASELINE], [evidence(value=0.85), SHUFFLED])

    assert stands(version) == ("False", "GateFailed", "Failed", "False")
    numbers = "gate good (roc_auc is 0.85 (0.84 to 0.86), the limit is 0.9; 1,000 rows) fails"
    assert version.message == f"{numbers}; {OVERRIDE}"
    told = [(event.type, event.reason) for event in version.world.told.events]
    assert told.count(("Warning", "GateFailed")) == 1


def test_a_message_names_at_most_three_gates() -> None:
    gates = [{**LIMIT, "name": f"good-{place}"} for place in range(5)]
    found = [evidence(gate["name"], 0.8) for gate in gates]

    message = made_by_a_run([*gates], found).message

    assert message.startswith(
        "gates good-0 (roc_auc is 0.8 (0.79 to 0.81), the limit is 0.9; 1,000 rows), good-1 ("
    )
    assert "1,000 rows) and 2 more fail; to let it through" in message


def test_long_findings_do_not_push_the_remedy_out_of_the_message() -> None:
    gates = [{**LIMIT, "name": f"good-{place}"} for place in range(3)]
    found = [evidence(gate["name"], 0.8, message="x" * 1000) for gate in gates]

    message = made_by_a_run([*gates], found).message

    assert message.endswith(OVERRIDE)
    assert len(message) < 2000


@pytest.mark.parametrize(
    ("around", "own", "stood"),
    [
        (None, None, ("False", "GateInconclusive", "InProgress", "Unknown")),
        ("Hold", None, ("False", "GateInconclusive", "InProgress", "Unknown")),
        ("Reject", None, ("False", "GateInconclusive", "Failed", "Unknown")),
        ("Allow", None, ("True", "Published", "Current", "True")),
        ("Allow", "Hold", ("False", "GateInconclusive", "InProgress", "Unknown")),
        ("Reject", "Allow", ("True", "Published", "Current", "True")),
    ],
)
def test_what_becomes_of_a_gate_that_is_not_decided(
    around: str | None, own: str | None, stood: tuple[str, ...]
) -> None:
    gate = {**BASELINE, **({"onInconclusive": own} if own else {})}

    version = made_by_a_run([gate], [SHUFFLED], **({"onInconclusive": around} if around else {}))

    assert stands(version) == stood


def test_what_is_allowed_though_inconclusive_is_said() -> None:
    worse = evidence("not-worse-than-champion", -0.002, low=-0.013, high=0.009, measured=0.9, reference=0.902,
                     against="churn-0")  # fmt: skip
    version = made_by_a_run([CHAMPION], [worse])

    phrase = (
        "not-worse-than-champion (roc_auc changed by -0.002 (-0.013 to 0.009) against churn-0 (from 0.902 to 0.9), "
        "the limit is 0; 1,000 rows, about 30,250 would decide)"
    )
    assert f"gate {phrase} is inconclusive, which is allowed"[:200] in version.message
    assert version.condition("Validated")["message"].startswith(f"{phrase} may be inconclusive; ONNX Runtime")


def test_a_lost_status_does_not_round_a_gate() -> None:
    version = made_by_a_run([LIMIT], [evidence(value=0.8)])
    world = version.world
    before = dict(version.status)
    world.api.edit(version.key, lambda body: body.update(status={}))
    world.watch()

    assert version.settles().status["gates"] == before["gates"], "its run still vouches for it"

    world.drop(Key(TRAINING_JOBS, "team", "churn"))
    world.api.edit(version.key, lambda body: body.update(status={}))
    world.watch()
    version.is_verified()

    assert stands(version) == ("False", "GateInconclusive", "InProgress", "Unknown")
    assert verdicts(version) == {"good": ("Inconclusive", "NotMeasured")}


def test_a_gate_that_was_taken_out_of_the_spec_still_counts() -> None:
    version = made_by_a_run([LIMIT], [evidence(), SHUFFLED])

    assert stands(version) == ("False", "GateInconclusive", "InProgress", "Unknown")
    assert (
        "gate better-than-baseline (its run measured it, and spec.gates does not have it)" in version.message
    )
    assert not version.looks_once()


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, None),
        ({"gates": [LIMIT]}, ["good"]),
        ({"gates": [LIMIT], "defaultGates": "Enabled"}, ["good", "better-than-baseline", "not-worse-than-champion"]),
        ({"evaluate": EVALUATE}, ["better-than-baseline", "not-worse-than-champion"]),
        ({"evaluate": EVALUATE, "defaultGates": "Disabled"}, None),
        ({"evaluate": EVALUATE, "gates": [{"metric": "f1", "min": 0.5}]},
         ["gate-1", "better-than-baseline", "not-worse-than-champion"]),
    ],
)  # fmt: skip
def test_the_gates_of_a_version_by_hand(spec: dict[str, Any], names: list[str] | None) -> None:
    version = by_hand(**spec).is_verified()

    assert (
        [gate["name"] for gate in version.status["gates"]] if "gates" in version.status else None
    ) == names
    assert version.is_ready is (names is None)


def test_a_version_by_hand_without_data_says_what_it_needs() -> None:
    version = by_hand(gates=[LIMIT]).is_verified()

    why = "roc_auc: no run vouches for the file here, and the spec has no evaluate with data to score it on"
    assert version.message == f"gate good ({why}) is inconclusive; {OVERRIDE}"


def test_a_version_by_hand_is_judged_by_what_the_job_measured() -> None:
    version = by_hand(evaluate=EVALUATE, gates=[LIMIT]).settles()
    version.pod().ends("verify", words.verified(gates=[evidence(), BETTER, ALONE]))
    version.job_completes().settles()

    assert stands(version) == ("True", "Verified", "Current", "Unknown")
    assert version.condition("Validated")["reason"] == "ParitySkipped"
    assert {metric["source"] for metric in version.status["metrics"]} == {"Measured"}


def test_a_reported_number_needs_a_gate_that_says_so() -> None:
    own = {"name": "own", "metric": "uplift", "value": 0.5, "source": "Reported"}
    gate = {"name": "own", "metric": "uplift", "min": 0.1}

    refused = made_by_a_run([gate], [own])
    taken = made_by_a_run([{**gate, "source": "Reported"}], [own])

    assert (verdicts(refused), refused.is_ready) == ({"own": ("Inconclusive", "ReportedOnly")}, False)
    assert (verdicts(taken), taken.is_ready) == ({"own": ("Pass", "WithinLimit")}, True)
    assert taken.status["gates"][0]["source"] == "Reported"


def test_importance_and_fairness_are_facts() -> None:
    importance = [{"feature": "age", "value": 0.2, "low": 0.1, "high": 0.3}]
    fairness = [{"feature": "sex", "groups": [{"group": "f", "rows": 9, "accuracy": 0.9}]}]
    job = a_training_job(a_world()).settles()
    job.pod().finishes(words.published(importance=importance, fairness=fairness))
    job.job_completes().settles()
    version = ModelVersion.found(job.world, "churn-1").settles()

    assert (version.status["importance"], version.status["fairness"]) == (importance, fairness)
    assert not version.looks_once()


@pytest.mark.parametrize(
    "written",
    [
        [],
        ["text"],
        [{"name": "good"}],
        [{"name": "good", "metric": "roc_auc", "verdict": "Waived", "reason": "Later"}],
        [{"name": "other", "metric": "roc_auc", "verdict": "Pass", "reason": "WithinLimit"}],
    ],
)
def test_a_verdict_of_another_release_that_cannot_be_read_is_none(written: list[Any]) -> None:
    (found,) = judged_in_status({"gates": [LIMIT]}, written, by_run=True)

    assert (found.status.verdict, found.status.reason) == ("Inconclusive", "NotMeasured")


def test_a_verdict_of_another_release_is_kept_and_the_spec_says_what_inconclusive_means() -> None:
    written = {"name": "good", "metric": "roc_auc", "verdict": "Inconclusive", "reason": "OneClass",
               "onInconclusive": "Allow", "field": "of a later release"}  # fmt: skip

    (found,) = judged_in_status({"gates": [LIMIT], "onInconclusive": "Reject"}, [written], by_run=True)

    status = GateStatus(
        name="good", metric="roc_auc", verdict="Inconclusive", reason="OneClass", on_inconclusive="Reject"
    )
    assert found.status == status
    assert not found.passes


@pytest.mark.parametrize(
    "gate",
    [
        {"name": "good", "metric": "roc_auc", "min": 0.5, "quantile": 0.9},
        {"name": "good", "metric": 7, "min": 0},
    ],
)
def test_a_gate_of_another_release_that_cannot_be_read_holds_the_version(gate: dict[str, Any]) -> None:
    spec = {"gates": [gate], "onInconclusive": "Allow"}

    (found,) = judged_in_status(
        spec, [{**evidence(), "verdict": "Pass", "reason": "WithinLimit"}], by_run=True
    )

    assert (found.status.reason, found.passes) == ("GateUnreadable", False)
    assert "this release of the operator cannot read it" in found.phrase


def test_versions_of_earlier_releases_stay_as_they_are() -> None:
    version = a_version(a_world()).is_verified()

    assert version.is_ready
    assert "gates" not in version.status


def test_a_second_look_writes_nothing() -> None:
    for version in (
        made_by_a_run([LIMIT, BASELINE, CHAMPION], [evidence(value=0.8), SHUFFLED, ALONE]),
        by_hand(gates=[LIMIT]).is_verified(),
    ):
        version.world.after(100_000)
        assert not version.looks_once()
        version.world.restart()
        assert not version.looks_once()


def written_again(terms: str | None, **changed: Any) -> ModelVersion:
    """A version that was deleted and written again with these changes. `terms`: digest that its run knows."""
    job = a_training_job(a_world(), defaultGates="Disabled", gates=[dict(LIMIT)]).settles()
    job.pod().finishes(words.published(gates=[evidence(value=0.5)]))
    job.job_completes().settles()
    body = job.world.api.objects[Key(MODEL_VERSIONS, "team", "churn-1")]
    job.world.drop(Key(MODEL_VERSIONS, "team", "churn-1"))
    digest = terms_hash(body["spec"]) if terms == "known" else terms

    def edit(training_job: dict[str, Any]) -> None:
        training_job["status"]["run"].pop("termsHash", None)
        training_job["status"]["run"].update({} if digest is None else {"termsHash": digest})

    job.world.api.edit(Key(TRAINING_JOBS, "team", "churn"), edit)
    job.world.watch()
    spec = {name: value for name, value in {**body["spec"], **changed}.items() if value is not None}
    return ModelVersion(job.world, "churn-1", spec, labels=body["metadata"]["labels"]).settles()


WEAKER = [{**LIMIT, "min": 0.1}]


@pytest.mark.parametrize("changed", [{"gates": WEAKER}, {"gates": WEAKER, "approval": {"required": 0}}])
def test_weaker_terms_than_its_run_wrote_are_refused(changed: dict[str, Any]) -> None:
    version = written_again("known", **changed)

    assert (version.reason, version.is_stalled) == ("TermsChanged", True)
    assert version.message == (
        "run 1 of TrainingJob churn made this version with other gates or approvals; "
        f"{OVERRIDE}, or delete it and write it again with those of the run"
    )
    assert approves(version, override=True, reason=WHY).reason == "Overridden"


def test_the_same_terms_written_again_are_judged() -> None:
    assert written_again("known").reason == "GateFailed"


def test_a_run_of_an_earlier_release_does_not_know_the_terms() -> None:
    assert written_again(None, gates=WEAKER).is_ready


@pytest.mark.parametrize(
    "gate",
    [
        {"name": "Not A Name", "metric": "f1", "min": 0.5},
        {"name": "n" * 100, "metric": "f1", "min": 0.5},
        {"name": "---", "metric": "m" * 200, "min": 0.5},
        {"name": "later", "metric": "f1", "least": 0.5},
    ],
)
def test_a_gate_of_a_later_release_keeps_the_version_but_not_the_file(gate: dict[str, Any]) -> None:
    version = by_hand()
    gates = [gate, {**gate, "name": f"{gate['name']}."}]
    version.world.api.edit(version.key, lambda body: body["spec"].update(gates=gates))
    version.world.watch()
    version.settles()
    version.pod().ends("verify", words.verified(gates=[]))
    version.job_completes().settles()

    assert (version.reason, version.condition("ArtifactVerified")["status"]) == ("GateInconclusive", "True")
    assert len({each["name"] for each in version.status["gates"]}) == 2
    assert {each["reason"] for each in version.status["gates"]} == {"GateUnreadable"}


def test_evidence_for_all_gates_that_a_version_may_have() -> None:
    found = [evidence(f"gate-{number}") for number in range(36)]

    assert len(FileReport.model_validate({"signature": words.SIGNATURE, "gates": found}).gates) == 36
