"""Approvals on the real API server, by people with roles of their own: who is refused, and what a good one does."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cluster.paths import AUDIT_LOG
from support.handmade import fill
from support.kubectl import Kubectl, Object, condition, message
from support.manifests import claim, inference_service, model_version
from support.models import labelling, valid_model
from support.people import Person, role

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

OWN_NAME = "is given in one's own name only"
NO_VERB = "the verb approve on modelversions.modelwright.dev is missing in namespace"
COUNT = iter(range(1000))


@pytest.fixture(scope="module")
def team(shared: Kubectl) -> Kubectl:
    """A namespace where developers may edit, and reviewers may approve."""
    shared.apply(
        role("developers", "edit", "developers"), role("reviewers", "modelwright-approver", "reviewers")
    )
    return shared


@pytest.fixture
def alice(team: Kubectl) -> Person:
    """A reviewer."""
    return Person(team.namespace, "alice", ("reviewers",))


@pytest.fixture
def bob(team: Kubectl) -> Person:
    """A reviewer who also develops."""
    return Person(team.namespace, "bob", ("reviewers", "developers"))


@pytest.fixture
def mallory(team: Kubectl) -> Person:
    """A developer, who may not approve."""
    return Person(team.namespace, "mallory", ("developers",))


def a_version(kubectl: Kubectl, *approvals: Object, **spec: Any) -> str:
    """A ModelVersion with these approvals, written by the administrator, in the order in which people may have."""
    name = f"churn-{next(COUNT)}"
    kubectl.apply(version(name, **spec))
    for said in approvals:
        by(kubectl, said["by"]).patch(
            "modelversion", name, {"spec": {"approvals": [*stated(kubectl, name), said]}}
        )
    return name


def version(name: str, **spec: Any) -> Object:
    """A ModelVersion of a file that is nowhere."""
    digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    manifest = model_version(name, f"pvc://nowhere/{name}.onnx", digest)
    manifest["spec"].update(spec)
    return manifest


def by(kubectl: Kubectl, user: str) -> Person:
    """A person with a name that matters alone: the administrator's group may do anything."""
    return Person(kubectl.namespace, user, ("system:masters",))


def stated(kubectl: Kubectl, name: str) -> list[Object]:
    """What stands in spec.approvals."""
    found: list[Object] = kubectl.get("modelversion", name)["spec"].get("approvals", [])
    return found


def says(user: str, decision: str = "Approve", **more: Any) -> Object:
    """An entry of spec.approvals."""
    return {"by": user, "decision": decision, **more}


def merged(approvals: list[Object]) -> tuple[str, ...]:
    """The flags of a merge patch that sets the whole list."""
    return "--type=merge", "-p", json.dumps({"spec": {"approvals": approvals}})


def test_mallory_approves_nothing_in_any_name(team: Kubectl, mallory: Person) -> None:
    name = a_version(team)
    patch = ("patch", "modelversion", name)

    own = mallory.refused(*patch, *merged([says("mallory")]))
    other = mallory.refused(*patch, *merged([says("alice")]))
    rejects = mallory.refused(*patch, *merged([says("mallory", "Reject")]))

    assert f"mallory may not approve or reject ModelVersion {name}: {NO_VERB} {team.namespace}" in own
    assert "the ClusterRole modelwright-approver has it" in own
    assert f"mallory may not say, change or remove what alice says of ModelVersion {name}" in other
    assert OWN_NAME in other
    assert NO_VERB in rejects
    assert stated(team, name) == []


def test_a_reviewer_speaks_in_his_own_name_only(team: Kubectl, alice: Person) -> None:
    name = a_version(team)

    for other in ("carol", "Alice", "alice ", "\u0430lice", "system:serviceaccount:default:default"):
        assert OWN_NAME in alice.refused("patch", "modelversion", name, *merged([says(other)]))
    both = merged([says("alice"), says("carol")])
    assert OWN_NAME in alice.refused("patch", "modelversion", name, *both)
    assert stated(team, name) == []


def test_what_another_has_said_is_neither_changed_nor_removed(team: Kubectl, bob: Person) -> None:
    said = says("carol", "Reject", reason="it forgets the old customers")
    name = a_version(team, said)

    for change in (
        [says("carol")],
        [says("carol", "Reject", reason="what she never said")],
        [says("carol", reason="no", override=True), says("bob")],
    ):
        assert OWN_NAME in bob.refused("patch", "modelversion", name, *merged(change))
    for removal in ([], [says("bob")], None):
        patch = json.dumps({"spec": {"approvals": removal}})
        refused = bob.refused("patch", "modelversion", name, "--type=merge", "-p", patch)
        assert "an approval is never removed" in refused
    assert stated(team, name) == [said]


def test_no_way_of_writing_gets_round_it(team: Kubectl, bob: Person) -> None:
    said = says("carol", "Reject", reason="no")
    name = a_version(team, said)
    whole = team.get("modelversion", name)
    del whole["spec"]["approvals"]
    del whole["metadata"]["resourceVersion"]  # kubectl takes the newest: the operator writes, too
    status = {"spec": {"approvals": [says("carol")]}, "status": {"shortDigest": "0" * 12}}

    for path in ("/spec/approvals", "/spec/approvals/0"):
        removal = json.dumps([{"op": "remove", "path": path}])
        refused = bob.refused("patch", "modelversion", name, "--type=json", "-p", removal)
        assert "an approval is never removed" in refused
    assert "an approval is never removed" in bob.refused("replace", "-f", "-", given=json.dumps(whole))
    manifest = version(name, approvals=[says("carol")])
    manifest["metadata"]["labels"] = {"and": "something-else"}
    assert "carol" in bob.refused(
        "apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(manifest)
    )
    assert "carol" in bob.refused(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "-f",
        "-",
        given=json.dumps(manifest),
    )
    by(team, "root").run(
        "patch", "modelversion", name, "--subresource=status", "--type=merge", "-p", json.dumps(status)
    )
    # A list that server-side apply no longer names stays: the manager owns none of the entries.
    bob.apply(version(name))
    bob.patch(
        "modelversion", name, {"metadata": {"labels": {"team": "b"}, "finalizers": ["example.com/held"]}}
    )
    bob.patch("modelversion", name, {"metadata": {"finalizers": None}})
    assert stated(team, name) == [said]


def test_nothing_is_made_with_an_approval_of_another(team: Kubectl, bob: Person, mallory: Person) -> None:
    generated = version("made", approvals=[says("carol")])
    generated["metadata"] = {"generateName": "made-"}

    assert OWN_NAME in bob.refuses(version("made", approvals=[says("bob"), says("carol")]))
    assert NO_VERB in mallory.refuses(version("made", approvals=[says("mallory")]))
    assert OWN_NAME in bob.refused("create", "-f", "-", given=json.dumps(generated))
    bob.apply(version("made", approvals=[says("bob")]))


def test_a_rejected_version_is_not_deleted_by_those_who_may_not_approve(
    team: Kubectl, alice: Person, bob: Person, mallory: Person
) -> None:
    name = a_version(team, says("carol", "Reject", reason="no"))

    assert f"ModelVersion {name} is rejected by carol, and mallory may not delete it" in mallory.refused(
        "delete", "modelversion", name
    )
    assert "is rejected by carol" in mallory.refused(
        "delete", "modelversions", f"--field-selector=metadata.name={name}"
    )
    assert "cannot delete" in alice.refused("delete", "modelversion", name), (
        "the role of reviewers is smaller"
    )
    bob.delete("modelversion", name)


def test_an_approval_is_changed_by_who_gave_it_and_override_needs_a_reason(
    team: Kubectl, alice: Person
) -> None:
    name = a_version(team)

    alice.run("patch", "modelversion", name, *merged([says("alice")]))
    without = alice.refused("patch", "modelversion", name, *merged([says("alice", override=True)]))
    alice.run("patch", "modelversion", name, *merged([says("alice", override=True, reason="known")]))
    back = alice.refused("patch", "modelversion", name, *merged([says("alice")]))
    gone = alice.refused("patch", "modelversion", name, *merged([]))

    assert "an approval with override needs a reason" in without
    assert "an approval is never removed, and one with override never changed" in back
    assert "an approval is never removed" in gone


def test_an_author_does_not_approve_where_the_recipe_excludes_it(
    team: Kubectl, alice: Person, bob: Person
) -> None:
    spec = {"approval": {"required": 1, "excludeAuthor": True}, "lineage": {"author": "alice"}}
    name = a_version(team, **spec)

    refused = alice.refused("patch", "modelversion", name, *merged([says("alice")]))
    bob.run("patch", "modelversion", name, *merged([says("bob")]))
    alice.run(
        "patch", "modelversion", name, *merged([says("bob"), says("alice", "Reject", reason="found a fault")])
    )

    assert (
        f"alice wrote the recipe of ModelVersion {name}, and its approval.excludeAuthor asks for another person"
        in refused
    )


def test_digests_are_approved_by_those_who_may_approve(team: Kubectl, bob: Person, mallory: Person) -> None:
    digests = [f"sha256:{letter * 64}" for letter in "ab"]
    name = "shop"
    mallory.apply(inference_service(name, version="nothing"))

    added = (
        "patch",
        "inferenceservice",
        name,
        "--type=merge",
        "-p",
        json.dumps({"spec": {"approvedDigests": digests[:1]}}),
    )
    refused = mallory.refused(*added)
    made = mallory.refuses(inference_service("other", version="nothing", approvedDigests=digests))
    bob.run(*added)
    kept = inference_service(name, version="something", approvedDigests=digests[:1])
    mallory.apply(kept)
    more = mallory.refuses({**kept, "spec": {**kept["spec"], "approvedDigests": digests}})

    for each in (refused, made, more):
        assert f"mallory may not add to spec.approvedDigests: {NO_VERB} {team.namespace}" in each


MODELS: dict[str, Callable[[], bytes]] = {
    "one": valid_model,
    "two": lambda: labelling("ArgMax"),
    "git": lambda: labelling("ArgMin"),
}


def digest(name: str) -> str:
    """The digest of one of the files."""
    return f"sha256:{hashlib.sha256(MODELS[name]()).hexdigest()}"


@pytest.fixture(scope="module")
def waiting(team: Kubectl) -> Kubectl:
    """Three versions whose files are good, and that wait for approval: one by one person, two by two, git by one."""
    team.apply(claim("handmade"))
    fill(team, "fill", {name: model() for name, model in MODELS.items()})
    for name in MODELS:
        manifest = model_version(name, f"pvc://handmade/{name}/model.onnx", digest(name), name)
        manifest["spec"]["approval"] = {"required": 2 if name == "two" else 1}
        team.apply(manifest)
    for name in MODELS:
        team.condition("modelversion", name, "Ready", "False", "AwaitingApproval")
    return team


def logged(kubectl: Kubectl, name: str) -> list[Object]:
    """The lines of the API server's audit log about a ModelVersion."""
    if not AUDIT_LOG.exists():
        pytest.skip("this cluster keeps no audit log on this host")
    lines = [json.loads(line) for line in AUDIT_LOG.read_text().splitlines()]
    about = {"resource": "modelversions", "namespace": kubectl.namespace, "name": name}
    return [line for line in lines if about.items() <= (line.get("objectRef") or {}).items()]


def test_an_approval_shows_who_when_and_why_in_status_event_and_audit_log(
    waiting: Kubectl, alice: Person, mallory: Person
) -> None:
    mallory.refused("patch", "modelversion", "one", *merged([says("mallory")]))
    alice.run("patch", "modelversion", "one", *merged([says("alice", reason="reviewed with risk")]))

    approved = waiting.condition("modelversion", "one", "Ready", "True", within=20)
    (entry,) = approved["status"]["approvals"]
    assert entry.pop("at")
    assert entry == {
        "by": "alice",
        "how": "ModelVersion",
        "decision": "Approve",
        "reason": "reviewed with risk",
        "verified": True,
    }
    assert condition(approved, "Approved")["status"] == "True"  # type: ignore[index]
    assert "alice" in message(approved, "Approved")
    assert [event for event in waiting.events("ModelVersion", "one") if "alice" in event[2]]
    annotations = [line.get("annotations", {}) for line in logged(waiting, "one")]
    said = [
        each["modelwright-approvals/approval"]
        for each in annotations
        if "modelwright-approvals/approval" in each
    ]
    assert "alice says of ModelVersion one: Approve (reviewed with risk)" in said
    (refusal,) = [line for line in logged(waiting, "one") if line["responseStatus"]["code"] == 403]
    assert refusal["impersonatedUser"]["username"] == "mallory"
    assert (
        "mallory may not approve"
        in refusal["annotations"]["validation.policy.admission.k8s.io/validation_failure"]
    )


def test_two_people_are_two_people(waiting: Kubectl, alice: Person, bob: Person) -> None:
    alice.run("patch", "modelversion", "two", *merged([says("alice")]))
    one_of_two = waiting.wait(
        "modelversion", "two", lambda found: found["status"].get("approvals"), within=20
    )
    assert condition(one_of_two, "Ready")["reason"] == "AwaitingApproval"  # type: ignore[index]
    assert "1 of 2" in message(one_of_two)

    bob.run("patch", "modelversion", "two", *merged([says("alice"), says("bob")]))

    waiting.condition("modelversion", "two", "Ready", "True", within=20)


def test_a_pull_request_approves_and_applying_it_again_writes_nothing(waiting: Kubectl, bob: Person) -> None:
    shop = inference_service("shop-of-git", version="git")
    bob.apply(shop)
    waiting.condition("inferenceservice", "shop-of-git", "Ready", "False")
    shop["spec"]["approvedDigests"] = [digest("git")]
    bob.apply(shop)
    waiting.condition("modelversion", "git", "Ready", "True", within=20)
    waiting.condition("inferenceservice", "shop-of-git", "Ready", "True", within=60)
    # The last that follows from it: the version is in use.
    waiting.wait("modelversion", "git", lambda found: condition(found, "InUse"), what="in use")
    waiting.wait("modelversion", "git", lambda found: "Champion" in found["status"].get("aliases", ()))
    kinds = {"modelversion": "git", "inferenceservice": "shop-of-git"}
    before = {kind: waiting.get(kind, name)["metadata"] for kind, name in kinds.items()}

    bob.apply(shop)
    bob.apply(shop)
    time.sleep(3)  # what the operator has to say, it says sooner

    assert {kind: waiting.get(kind, name)["metadata"] for kind, name in kinds.items()} == before
    (entry,) = waiting.get("modelversion", "git")["status"]["approvals"]
    assert (entry["by"], entry["how"], entry["verified"]) == ("shop-of-git", "InferenceService", True)
