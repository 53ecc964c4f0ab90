"""People decide: who has approved a version, who has rejected it, and what follows."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given import words
from unit.given.approvals import WHY, approves, is_checked, names, rejects, says
from unit.given.resources import ModelVersion, a_service, a_version, a_world
from unit.given.world import World

from modelwright.common.times import to_timestamp

LIMIT = {"name": "good", "metric": "roc_auc", "min": 0.9}
UNCHECKED = "the API server did not check who approved: the chart's approvals.policy.enabled was not in force"


def a_version_with(
    world: World | None = None, name: str = "churn-1", letter: str = "a", **spec: Any
) -> ModelVersion:
    """A version that a person has written and a Job has verified."""
    whole = {"model": "churn", "artifact": words.artifact(letter=letter), **spec}
    return ModelVersion(world or a_world(), name, whole).is_verified(letter)


def awaiting(**terms: Any) -> ModelVersion:
    return a_version_with(approval={"required": 1, **terms})


def failing() -> ModelVersion:
    return a_version_with(gates=[LIMIT])


def approved(version: ModelVersion) -> tuple[str, str] | None:
    found = (c for c in version.status["conditions"] if c["type"] == "Approved")
    return next(((c["status"], c["reason"]) for c in found), None)


def told(version: ModelVersion) -> list[tuple[str, str]]:
    return [(event.type, event.reason) for event in version.world.told.events]


def test_a_version_without_terms_needs_no_approval() -> None:
    version = a_version_with()

    assert (version.is_ready, approved(version)) == (True, None)


def test_it_waits_for_an_approval_and_says_how_to_give_one() -> None:
    version = awaiting()

    assert (version.reason, version.kstatus) == ("AwaitingApproval", "InProgress")
    assert version.condition()["status"] == "False"
    assert approved(version) == ("False", "AwaitingApproval")
    assert version.message == (
        "it has 0 of 1 approvals; modelwright approve churn-1, or name its digest in spec.approvedDigests of an "
        "InferenceService"
    )


def test_an_approval_makes_it_ready_and_is_recorded_with_who_when_how_and_why() -> None:
    version = awaiting()
    says(version, reason=WHY).world.after(5)
    at = to_timestamp(version.world.now)

    is_checked(version)

    assert (version.is_ready, version.reason, approved(version)) == (True, "Verified", ("True", "Approved"))
    assert version.condition("Approved")["message"] == f"alice has approved it ({WHY})"
    assert version.status["approvals"] == [
        {"by": "alice", "at": at, "how": "ModelVersion", "decision": "Approve",
         "reason": WHY, "verified": True}
    ]  # fmt: skip
    assert told(version) == [("Normal", "Approved"), ("Normal", "Verified")]
    assert version.world.told.events[0].message == f"alice has approved it ({WHY})"


def test_an_approval_counts_once_it_is_known_whether_it_was_checked() -> None:
    version = says(awaiting())

    assert (version.reason, "approvals" in version.status) == ("AwaitingApproval", False)
    assert "an approval is recorded once it is known whether the API server checks them" in version.message

    assert is_checked(version).is_ready


def test_an_approval_that_was_not_checked_counts_with_a_warning() -> None:
    version = is_checked(says(awaiting()), "there is no ValidatingAdmissionPolicy modelwright-approvals")

    assert version.is_ready
    assert version.status["approvals"][0]["verified"] is False
    assert version.condition("Approved")["message"] == f"alice has approved it; {UNCHECKED}"
    assert version.world.told.events[0].type == "Warning"
    assert version.world.told.events[0].message == (
        f"alice has approved it; {UNCHECKED}: there is no ValidatingAdmissionPolicy modelwright-approvals"
    )


def test_what_is_recorded_is_kept_whatever_becomes_of_the_policy() -> None:
    version = approves(awaiting())
    before = dict(version.status)
    version.world.after(100)

    for policy in ("it is gone", None):
        assert is_checked(version, policy).status == before
    version.world.restart()
    assert not version.looks_once()


def test_two_people_are_two_different_ones() -> None:
    version = approves(awaiting(required=2))

    assert version.reason == "AwaitingApproval"
    assert version.message == "it has 1 of 2 approvals (alice has approved it); modelwright approve churn-1"
    assert not approves(version, reason="once more").is_ready

    assert approves(version, "bob").is_ready
    assert version.condition("Approved")["message"] == (
        "alice has approved it (once more); bob has approved it"
    )


def test_none_may_be_asked_for_and_given_all_the_same() -> None:
    version = awaiting(required=0)
    assert (version.is_ready, approved(version)) == (True, None)

    assert approved(approves(version)) == ("True", "Approved")


@pytest.mark.parametrize(
    ("terms", "lineage", "ready"),
    [
        ({"excludeAuthor": True}, {"author": "alice"}, False),
        ({"excludeAuthor": False}, {"author": "alice"}, True),
        ({"excludeAuthor": True}, {"author": "bob"}, True),
        ({"excludeAuthor": True}, {}, True),
    ],
)
def test_who_wrote_the_recipe_may_be_left_out(
    terms: dict[str, Any], lineage: dict[str, Any], ready: bool
) -> None:
    version = approves(a_version_with(approval={"required": 1, **terms}, lineage=lineage))

    assert version.is_ready is ready
    message = version.condition("Approved")["message"]
    assert ("the approval of alice, who wrote the recipe, does not count" in message) is not ready
    assert ("lineage names no author" in message) is (not lineage)
    if not ready:
        assert approves(version, "bob").is_ready


def test_a_service_approves_files_for_git() -> None:
    version = awaiting()
    service = a_service(version.world, version=None)
    at = to_timestamp(version.world.now)

    names(service, version, "b", "a")

    assert (version.is_ready, approved(version)) == (True, ("True", "Approved"))
    assert version.condition("Approved")["message"] == (
        "InferenceService churn approves its file (spec.approvedDigests)"
    )
    assert version.status["approvals"] == [
        {"by": "churn", "at": at, "how": "InferenceService", "decision": "Approve",
         "verified": True}
    ]  # fmt: skip
    assert not version.looks_once()


def test_an_approval_that_leaves_git_again_does_not_count_any_more() -> None:
    version = awaiting()
    service = a_service(version.world, version=None)
    assert names(service, version, "a").is_ready

    assert names(service, version, "b").reason == "AwaitingApproval"
    assert "approvals" not in version.status
    assert names(service, version, "a").is_ready
    service.is_deleted()
    assert version.settles().reason == "AwaitingApproval"


def test_who_wrote_git_may_be_one_of_those_who_approved() -> None:
    version = awaiting(required=2)
    for name in ("churn", "other"):
        names(a_service(version.world, version=None, name=name), version, "a")
    assert "it has 1 of 2 approvals" in version.message

    assert "it has 1 of 2 approvals" in approves(version).message
    assert approves(version, "bob").is_ready


def test_git_does_not_count_where_the_author_is_left_out() -> None:
    version = a_version_with(approval={"required": 1, "excludeAuthor": True}, lineage={"author": "alice"})

    names(a_service(version.world, version=None), version, "a")

    assert version.message == "it has 0 of 1 approvals; modelwright approve churn-1"


def test_a_rejection_wins_over_approvals_and_overrides() -> None:
    version = approves(awaiting())
    approves(version, "bob", override=True, reason=WHY)
    assert version.is_ready

    rejects(version, "carol", reason="it is unfair")

    assert (version.reason, version.is_stalled, approved(version)) == (
        "Rejected",
        True,
        ("False", "Rejected"),
    )
    assert version.message == (
        "carol has rejected it (it is unfair); only carol can take that back: modelwright approve churn-1"
    )
    assert told(version).count(("Warning", "Rejected")) == 1
    assert [entry["decision"] for entry in version.status["approvals"]] == ["Approve", "Approve", "Reject"]
    assert approves(version, "carol").is_ready


def test_a_rejection_counts_before_it_is_recorded() -> None:
    version = says(approves(awaiting()), "bob", "Reject")

    assert version.reason == "Rejected"
    recorded = is_checked(version)
    assert (recorded.reason, told(recorded).count(("Warning", "Rejected"))) == ("Rejected", 1)


def test_another_rejection_is_an_event_of_its_own() -> None:
    version = rejects(rejects(awaiting()), "bob")

    assert told(version).count(("Warning", "Rejected")) == 2


def test_a_rejection_counts_for_the_same_file_under_another_name() -> None:
    version = rejects(awaiting(), reason="no")
    twin = a_version_with(version.world, "churn-2")

    assert twin.reason == "Rejected"
    assert twin.message == (
        "alice has rejected the same file as ModelVersion churn-1 (no); only alice can take that back: "
        "modelwright approve churn-1"
    )
    assert a_version_with(version.world, "churn-3", "b").is_ready
    approves(version)
    assert twin.settles().is_ready


def test_a_version_that_is_served_keeps_its_traffic_and_says_so() -> None:
    world = a_world()
    version = a_version(world).is_verified()
    a_service(world).serves()

    rejects(version.settles())

    assert version.message.endswith("; InferenceService churn serves it on until another version takes over")


def test_only_an_override_lets_it_through_though_a_gate_has_not_passed_and_it_is_said_from_then_on() -> None:
    version = approves(failing())
    assert version.reason == "GateInconclusive"

    approves(version, "bob", override=True, reason=WHY)

    assert (version.is_ready, version.reason) == (True, "Overridden")
    assert version.message.startswith(
        f"bob has approved it, whatever its gates found ({WHY}): gate good (roc_auc: no run vouches for the file here"
    )
    assert version.condition("Validated")["status"] == "Unknown"
    assert told(version).count(("Warning", "Overridden")) == 1
    assert version.status["approvals"][1]["override"] is True
    version.world.restart()
    assert not version.looks_once()


def test_an_override_that_is_there_from_the_start_is_an_event_too() -> None:
    entry = {"by": "alice", "decision": "Approve", "override": True, "reason": WHY}
    version = ModelVersion(
        a_world(), "churn-1", {"model": "churn", "artifact": words.artifact(), "gates": [LIMIT], "approvals": [entry]}
    )  # fmt: skip

    is_checked(version).is_verified()

    assert (version.reason, told(version)) == (
        "Overridden",
        [("Normal", "Approved"), ("Warning", "Overridden")],
    )


def test_an_override_that_was_not_checked_says_so() -> None:
    version = is_checked(says(failing(), override=True, reason=WHY), "it is not there")

    assert (version.reason, UNCHECKED in version.message) == ("Overridden", True)


def test_an_override_does_not_stand_for_the_approvals_that_are_asked_for() -> None:
    version = a_version_with(gates=[LIMIT], approval={"required": 2})

    approves(version, override=True, reason=WHY)

    assert version.reason == "AwaitingApproval"
    assert approves(version, "bob").reason == "Overridden"


def test_the_author_cannot_override_where_they_are_left_out() -> None:
    terms = {"required": 0, "excludeAuthor": True}
    version = a_version_with(gates=[LIMIT], approval=terms, lineage={"author": "alice"})

    assert approves(version, override=True, reason=WHY).reason == "GateInconclusive"
    assert approves(version, "bob", override=True, reason=WHY).reason == "Overridden"


def test_git_cannot_override() -> None:
    version = failing()

    assert names(a_service(version.world, version=None), version, "a").reason == "GateInconclusive"


def test_an_override_that_leaves_the_spec_stays_shown_and_does_not_count() -> None:
    version = approves(failing(), override=True, reason=WHY)
    version.world.api.edit(version.key, lambda body: body["spec"].pop("approvals"))
    version.world.watch()

    assert version.settles().reason == "GateInconclusive"
    assert version.status["approvals"][0]["override"] is True


def test_a_file_that_is_not_verified_yet_shows_its_approvals() -> None:
    version = ModelVersion(a_world(), "churn-1", {"model": "churn", "artifact": words.artifact()})

    approves(version)

    assert (version.reason, approved(version)) == ("Verifying", ("True", "Approved"))
    assert len(version.status["approvals"]) == 1


def test_an_approval_does_not_help_a_file_that_is_no_model() -> None:
    version = ModelVersion(
        a_world(), "churn-1", {"model": "churn", "artifact": words.artifact()}
    ).is_rejected()

    assert approves(version, override=True, reason=WHY).reason == "DigestMismatch"


@pytest.mark.parametrize(
    "entry", ["text", {}, {"by": "bob"}, {"by": 7, "how": "Later", "decision": "Approve"}], ids=str
)
def test_entries_of_another_release_are_passed_over(entry: object) -> None:
    version = approves(awaiting())
    version.world.api.edit(version.key, lambda body: body["status"]["approvals"].insert(0, entry))
    version.world.watch()

    assert is_checked(version).is_ready
    assert [each["by"] for each in version.status["approvals"]] == ["alice"]


def test_more_services_than_a_status_holds_are_left_out() -> None:
    version = awaiting()
    for place in range(70):
        a_service(version.world, version=None, name=f"churn-{place:02}", approvedDigests=[words.digest()])

    assert is_checked(version).is_ready
    assert len(version.status["approvals"]) == 16
    assert not version.looks_once()


def test_long_reasons_are_cut_in_messages() -> None:
    version = approves(awaiting(), reason="x" * 1024)

    assert version.condition("Approved")["message"] == f"alice has approved it ({'x' * 200}...)"
    assert version.status["approvals"][0]["reason"] == "x" * 1024


@pytest.mark.parametrize("part", [{"decision": "Abstain"}, {"reason": "r" * 2000}, {"by": "b" * 300}])
def test_a_statement_of_a_later_release_does_not_count(part: dict[str, Any]) -> None:
    version = awaiting(required=1)
    said = {"by": "alice", "decision": "Approve", **part}
    version.world.api.edit(version.key, lambda body: body["spec"].update(approvals=[said]))
    version.world.watch()
    version.settles()

    assert (version.reason, version.status.get("approvals")) == ("AwaitingApproval", None)
