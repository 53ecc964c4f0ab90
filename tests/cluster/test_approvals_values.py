"""Approvals where the administrator has removed the policy, which counts and is shown, or has authors checked, too."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.handmade import fill
from support.kubectl import Kubectl, KubectlError, Object, condition, message
from support.manifests import claim, model_version, training_job
from support.models import valid_model
from support.operator import NAMESPACE, install
from support.people import Person, role
from support.turn import turn

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

BINDING, NAME = "validatingadmissionpolicybinding", "modelwright-approvals"


@pytest.fixture
def unchecked(operator: Kubectl) -> Iterator[None]:
    """The binding of the policy is deleted; helm makes it anew afterwards."""
    turn.exclusive()
    system = Kubectl(NAMESPACE)
    system.delete(BINDING, NAME)
    yield
    install(system)


def test_an_approval_in_a_false_name_counts_and_is_shown_as_unverified(
    kubectl: Kubectl, unchecked: None
) -> None:
    content = valid_model()
    kubectl.apply(claim("handmade"))
    fill(kubectl, "fill", {"one": content})
    manifest = model_version(
        "one", "pvc://handmade/one/model.onnx", f"sha256:{hashlib.sha256(content).hexdigest()}"
    )
    manifest["spec"]["approval"] = {"required": 1}
    kubectl.apply(manifest)
    kubectl.condition("modelversion", "one", "Ready", "False", "AwaitingApproval")

    kubectl.patch("modelversion", "one", {"spec": {"approvals": [{"by": "alice"}]}})

    ready = kubectl.condition("modelversion", "one", "Ready", "True", within=30)
    (entry,) = ready["status"]["approvals"]
    assert (entry["by"], entry["verified"]) == ("alice", False)
    assert "the API server did not check who approved" in message(ready, "Approved")
    (warning,) = [event for event in kubectl.events("ModelVersion", "one") if event[1] == "Approved"]
    assert warning[0] == "Warning"
    assert f"there is no ValidatingAdmissionPolicyBinding {NAME}" in warning[2]
    assert condition(ready, "Approved")["status"] == "True"  # type: ignore[index]


@pytest.fixture
def bob(operator: Kubectl, kubectl: Kubectl) -> Iterator[Person]:
    """A developer of a cluster that checks authors."""
    system = install(operator, "approvals.author=true")
    kubectl.apply(role("developers", "edit", "developers"))
    person = Person(kubectl.namespace, "bob", ("developers",))
    _loaded(person)
    yield person
    install(system)


def _loaded(person: Person) -> None:
    """Waits until the API server has loaded the rules of authors."""
    probe = json.dumps(a_job("probe", author="mallory"))
    for _ in range(50):
        try:
            person.run("apply", "--server-side", "--dry-run=server", "-f", "-", given=probe)
        except KubectlError:
            return
        time.sleep(0.2)
    raise AssertionError("authors are not checked")


def a_job(name: str = "churn", **spec: Any) -> Object:
    """A TrainingJob whose data is nowhere."""
    return training_job(name, data={"uri": "pvc://nowhere/rows.csv", "target": "churned"}, **spec)


def test_the_author_of_a_recipe_or_a_version_is_who_wrote_it(kubectl: Kubectl, bob: Person) -> None:
    excluding = {"required": 1, "excludeAuthor": True}
    version = model_version("one", "pvc://nowhere/one.onnx", f"sha256:{'a' * 64}")

    other = bob.refuses(a_job(author="alice"))
    nameless = bob.refuses(a_job(approval=excluding))
    bob.apply(a_job(author="bob", approval=excluding))
    carol = Person(kubectl.namespace, "carol", ("developers",))
    change = carol.refuses(a_job(author="bob", approval=excluding, seed=8))
    carol.run("label", "trainingjob", "churn", "team=c")
    carol.apply(a_job(author="carol", approval=excluding, seed=8))
    version["spec"]["lineage"] = {"author": "alice"}
    borrowed = bob.refuses(version)
    version["spec"]["lineage"] = {"author": "bob"}
    bob.apply(version)

    assert "spec.author of TrainingJob churn has to be bob, who changes its spec" in other
    assert "TrainingJob churn excludes its author from approving: set spec.author to bob" in nameless
    assert "spec.author of TrainingJob churn has to be carol, who changes its spec" in change
    assert "lineage.author of ModelVersion one has to be bob, who writes it" in borrowed
