"""`approve` and `reject`: one's own entry is written, no other, and what does not help is not written at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from unit.cli.desk import Body, Desk, Run, a_desk, status
from unit.view.versions import a_body, by_hand

from modelwright.cli import approving

AT = "2026-01-02T09:00:00Z"
BOB = {"by": "bob", "decision": "Approve", "reason": "first"}
OVERRIDE = {**BOB, "override": True}
FAILS = "Fail          recall-eu  recall at least 0.7 where region is eu  is 0.5 (0.4 to 0.6)  120 rows"
VERIFIED = {
    "type": "ArtifactVerified",
    "status": "True",
    "reason": "Verified",
    "message": "it is",
    "observedGeneration": 1,
    "lastTransitionTime": AT,
}


def recorded(body: Body) -> Body:
    """An operator that takes in what is said, and that knows who said it."""
    said = [{**each, "at": AT, "how": "ModelVersion", "verified": True} for each in body["spec"]["approvals"]]
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "AwaitingApproval",
        "message": f"it has {len(said)} of 2 approvals",
        "observedGeneration": 1,
        "lastTransitionTime": AT,
    }
    return {"status": {"approvals": said, "conditions": [ready]}}


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(approving, "PAUSE", 0.01)
    with a_desk(by_hand("none")) as found:
        good = by_hand("churn-2")
        good["spec"]["approval"] = {"required": 2}
        found.versions = {"churn-2": good, "churn-3": a_body()}
        found.versions["churn-3"]["status"]["conditions"].append(VERIFIED)
        for body in found.versions.values():
            body["metadata"].update(uid="u", resourceVersion="1")
            body["spec"].pop("approvals", None)
            body.get("status", {}).pop("approvals", None)
        found.on_version = recorded
        yield found


def approvals(desk: Desk, name: str) -> Any:
    return desk.versions[name]["spec"].get("approvals")


def says(desk: Desk, name: str, *entries: Body) -> None:
    """Others have said something before."""
    desk.versions[name]["spec"]["approvals"] = list(entries)


def test_an_approval_is_written_in_the_name_that_the_api_server_knows_and_what_follows_is_said(
    desk: Desk, command: Run
) -> None:
    says(desk, "churn-2", BOB)

    code, text = command("approve", "churn-2", "--reason", "reviewed")

    assert (code, approvals(desk, "churn-2")) == (
        0,
        [BOB, {"by": "jane", "decision": "Approve", "reason": "reviewed"}],
    )
    assert "churn-2: approved by jane" in text
    assert "Ready=False AwaitingApproval: it has 2 of 2 approvals" in text
    assert "Approved=" not in text


def test_what_two_conditions_say_is_said_once(desk: Desk, command: Run) -> None:
    def both(body: Body) -> Body:
        status = recorded(body)["status"]
        (ready,) = status["conditions"]
        return {"status": {**status, "conditions": [ready, {**ready, "type": "Approved"}]}}

    desk.on_version = both

    text = command("approve", "churn-2")[1]

    assert (text.count("it has 1 of 2 approvals"), text.count("Ready=False")) == (1, 1)


def test_a_rejection_needs_a_reason(desk: Desk, command: Run) -> None:
    assert command("reject", "churn-2")[0] == 2
    code, text = command("reject", "mv/churn-2", "--reason", "it forgets old customers", "--no-wait")
    assert (code, text.strip()) == (0, "churn-2: rejected by jane")
    assert approvals(desk, "churn-2") == [
        {"by": "jane", "decision": "Reject", "reason": "it forgets old customers"}
    ]


def test_what_has_not_passed_is_shown_and_not_approved_without_override(desk: Desk, command: Run) -> None:
    code, text = command("approve", "churn-3")

    assert (code, approvals(desk, "churn-3")) == (1, None)
    assert FAILS in text
    assert "not-worse-than-champion" not in text, "what is allowed keeps nothing back"
    assert "modelwright approve churn-3 --override --reason TEXT" in text


def test_override_shows_the_numbers_and_is_written_with_its_reason(desk: Desk, command: Run) -> None:
    assert command("approve", "churn-3", "--override")[0] == 2
    code, text = command("approve", "churn-3", "--override", "--reason", "known")

    assert code == 0
    assert FAILS in text
    assert approvals(desk, "churn-3") == [
        {"by": "jane", "decision": "Approve", "reason": "known", "override": True}
    ]


def test_there_is_nothing_to_override_where_all_has_passed(desk: Desk, command: Run) -> None:
    code, text = command("approve", "churn-2", "--override", "--reason", "to be sure")

    assert (code, approvals(desk, "churn-2")) == (1, None)
    assert "Approve it without --override" in text


def test_a_gate_that_was_never_measured_has_not_passed(desk: Desk, command: Run) -> None:
    desk.versions["churn-3"]["status"].pop("gates")

    code, text = command("approve", "churn-3")

    assert (code, approvals(desk, "churn-3")) == (1, None)
    assert "not measured yet" in text


def test_an_approval_before_the_gates_are_measured_is_written(desk: Desk, command: Run) -> None:
    desk.versions["churn-3"]["status"] = {}

    code, text = command("approve", "churn-3")

    assert (code, approvals(desk, "churn-3")) == (0, [{"by": "jane", "decision": "Approve"}])
    assert "this does not let churn-3 through yet; its gates are not measured:" in text
    assert "recall-eu  recall at least 0.7 where region is eu  not measured yet" in text
    assert "--override" not in text, "they may still pass"


def test_a_second_approval_beside_an_override_is_written(desk: Desk, command: Run) -> None:
    desk.versions["churn-3"]["spec"]["approval"] = {"required": 2}
    says(desk, "churn-3", OVERRIDE)

    code, text = command("approve", "churn-3", "--reason", "second")

    second = {"by": "jane", "decision": "Approve", "reason": "second"}
    assert (code, approvals(desk, "churn-3")) == (0, [OVERRIDE, second])
    assert "an approval with override stands, which lets this through:" in text
    assert FAILS in text


def test_an_override_of_the_author_whose_approval_does_not_count_lets_nothing_through(
    desk: Desk, command: Run
) -> None:
    spec = desk.versions["churn-3"]["spec"]
    spec |= {
        "approval": {"required": 2, "excludeAuthor": True},
        "lineage": {**spec["lineage"], "author": "bob"},
    }
    says(desk, "churn-3", OVERRIDE)

    code, text = command("approve", "churn-3")

    assert (code, approvals(desk, "churn-3")) == (1, [OVERRIDE])
    assert "an approval alone does not let it through" in text


def test_a_rejection_of_ones_own_is_taken_back_whatever_the_gates_found(desk: Desk, command: Run) -> None:
    says(desk, "churn-3", {"by": "jane", "decision": "Reject", "reason": "a fault"})

    code, text = command("approve", "churn-3")

    assert (code, approvals(desk, "churn-3")) == (0, [{"by": "jane", "decision": "Approve"}])
    assert "this takes the rejection back, and does not let churn-3 through yet:" in text
    assert FAILS in text
    assert "modelwright approve churn-3 --override --reason TEXT" in text


def test_the_rejection_of_another_opens_no_way_around_the_gates(desk: Desk, command: Run) -> None:
    says(desk, "churn-3", {"by": "bob", "decision": "Reject", "reason": "a fault"})

    assert command("approve", "churn-3")[0] == 1


def test_an_approval_that_stands_is_not_written_again(desk: Desk, command: Run) -> None:
    command("approve", "churn-2")
    before = desk.seen("PATCH")

    code, text = command("approve", "churn-2")

    assert (code, desk.seen("PATCH")) == (0, before)
    assert "churn-2: approved by jane" in text


def test_an_override_of_ones_own_stays(desk: Desk, command: Run) -> None:
    said = {"by": "jane", "decision": "Approve", "reason": "known", "override": True}
    says(desk, "churn-3", said)

    code, text = command("reject", "churn-3", "--reason", "a fault after all")

    assert (code, approvals(desk, "churn-3")) == (1, [said])
    assert "Another person who may approve can reject it" in text


def test_what_another_says_at_the_same_time_is_kept(desk: Desk, command: Run) -> None:
    desk.answers = [("PATCH", 409, status("it was changed"))]
    code, _ = command("approve", "churn-2", "--no-wait")
    assert code == 0
    assert desk.seen("PATCH") == 2
    written = [body for method, _, body in desk.requests if method == "PATCH"]
    assert all(
        body is not None and body["metadata"] == {"uid": "u", "resourceVersion": "1"} for body in written
    )


def test_without_the_verb_nothing_is_written_and_the_way_to_it_is_said(desk: Desk, command: Run) -> None:
    desk.may_approve = False

    code, text = command("approve", "churn-2")

    assert (code, desk.seen("PATCH")) == (4, 0)
    assert "jane may not approve ModelVersions in namespace team: the verb approve is missing" in text
    assert "with the role RELEASE-approver of the chart" in text
    assert "--clusterrole=RELEASE-approver --user=jane" in text
    (asked,) = [body for _, path, body in desk.requests if path.endswith("subjectaccessreviews")]
    assert asked is not None
    assert asked["spec"]["resourceAttributes"] == {
        "group": "modelwright.dev",
        "resource": "modelversions",
        "verb": "approve",
        "namespace": "team",
        "name": "churn-2",
    }


def test_a_refusal_of_the_policy_is_its_sentence(desk: Desk, command: Run) -> None:
    sentence = "jane wrote the recipe of ModelVersion churn-2, and its approval.excludeAuthor asks for another person"
    policy = "ValidatingAdmissionPolicy 'modelwright-approvals' with binding 'modelwright-approvals'"
    forbidden = f'modelversions.modelwright.dev "churn-2" is forbidden: {policy} denied request: {sentence}'
    desk.answers = [("PATCH", 403, status(forbidden))]

    assert command("approve", "churn-2") == (1, f"error: {sentence}\n")


def test_a_cluster_that_does_not_say_who_asks_gets_no_approval(desk: Desk, command: Run) -> None:
    desk.answers = [("POST", 201, json.dumps({}))]

    code, text = command("approve", "churn-2")

    assert (code, desk.seen("PATCH")) == (4, 0)
    assert "does not say by which name it knows you" in text


def test_an_operator_that_does_not_take_it_in_is_named(desk: Desk, command: Run) -> None:
    desk.on_version = lambda _body: None

    code, text = command("approve", "churn-2", "--timeout", "0.05s")

    assert code == 5
    assert "it is written, and the operator has not taken it in within 0.05 s" in text


def test_an_approval_that_nobody_checked_says_so(desk: Desk, command: Run) -> None:
    def unchecked(body: Body) -> Body:
        change = recorded(body)
        return {
            "status": {
                **change["status"],
                "approvals": [{**change["status"]["approvals"][0], "verified": False}],
            }
        }

    desk.on_version = unchecked

    assert "This cluster does not check who approves" in command("approve", "churn-2")[1]
