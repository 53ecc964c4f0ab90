"""What the API server or a quota refuses stands in Ready within seconds, and passes when its cause does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.kubectl import Kubectl, KubectlError, message
from support.manifests import training_job
from support.models import valid_model
from support.rollouts import GOOD, MARKS, publish, serve, service, waits_for_weight

pytestmark = MARKS

WITHIN = 30
# The pods are tried again within a minute after their cause is gone, and then have to start.
AGAIN = 150


def test_a_canary_whose_pods_a_quota_refuses_says_so_is_given_up_and_tried_again(kubectl: Kubectl) -> None:
    publish(kubectl, one=valid_model(), two=GOOD["two"])
    serve(kubectl, replicas=1)
    kubectl.run("create", "quota", "room", "--hard=pods=1")

    kubectl.apply(service("two", progressDeadlineSeconds=60))

    found = kubectl.condition("mwisvc", "doubles", "Ready", "False", "QuotaExceeded", within=WITHIN)
    assert message(found).startswith("ModelVersion two: pods are forbidden: exceeded quota: room, ")
    found = kubectl.wait(
        "mwisvc",
        "doubles",
        lambda now: now["status"]["canary"]["state"] == "Failed",
        within=120,
        what="given up",
    )
    assert "exceeded quota: room" in message(found)
    assert message(found).endswith("one keeps the traffic; it is tried again")
    kubectl.run("delete", "quota", "room")
    kubectl.apply(service("two", progressDeadlineSeconds=120))
    waits_for_weight(kubectl, 10)


def test_scaling_beyond_a_quota_says_so_and_goes_on_within_a_minute_after_it_is_gone(
    kubectl: Kubectl,
) -> None:
    publish(kubectl, one=valid_model())
    serve(kubectl, replicas=1)
    kubectl.run("create", "quota", "room", "--hard=pods=1")

    kubectl.apply(service("one", replicas=2))

    found = kubectl.condition("mwisvc", "doubles", "Ready", "False", "QuotaExceeded", within=WITHIN)
    assert "exceeded quota: room" in message(found)
    kubectl.run("delete", "quota", "room")
    kubectl.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=AGAIN)


def test_a_service_of_somebody_else_is_not_taken_and_ready_names_it(kubectl: Kubectl) -> None:
    publish(kubectl, one=valid_model())
    kubectl.run("create", "service", "clusterip", "doubles", "--tcp=80:80")

    kubectl.apply(service("one", progressDeadlineSeconds=10))

    found = kubectl.condition("mwisvc", "doubles", "Ready", "False", "NameTaken", within=WITHIN)
    assert "Service doubles is refused" in message(found)
    kubectl.run("delete", "service", "doubles")
    kubectl.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=AGAIN)


def test_what_a_policy_denies_is_reported_in_its_words_until_it_allows_it(kubectl: Kubectl) -> None:
    with denying_jobs(kubectl, "batch work is not welcome here"):
        kubectl.apply(training_job("cancer"))
        denied = kubectl.condition("trainingjob", "cancer", "Ready", "False", "PolicyDenied", within=WITHIN)
    done = kubectl.condition("trainingjob", "cancer", "Ready", "True", "RunSucceeded", within=300)

    assert "batch work is not welcome here" in message(denied)
    assert done["status"]["run"]["number"] == 1


@contextmanager
def denying_jobs(kubectl: Kubectl, words: str) -> Iterator[None]:
    """A policy denies every Job in the namespace."""
    name = f"{kubectl.namespace}.example.com"
    here = {"matchLabels": {"kubernetes.io/metadata.name": kubectl.namespace}}
    jobs = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    spec = {
        "matchConstraints": {"namespaceSelector": here, "resourceRules": [jobs]},
        "validations": [{"expression": "false", "message": words}],
    }
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    kubectl.apply(
        {**group, "kind": "ValidatingAdmissionPolicy", "spec": spec},
        {
            **group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    )
    try:
        kubectl.wait("namespace", kubectl.namespace, lambda _: is_denied(kubectl, words), what="guarded")
        yield
    finally:
        kubectl.delete("validatingadmissionpolicybinding", name)
        kubectl.delete("validatingadmissionpolicy", name)


def is_denied(kubectl: Kubectl, words: str) -> bool:
    """Whether the API server has taken the policy in."""
    try:
        kubectl.run("create", "job", "probe", "--image=probe", "--dry-run=server")
    except KubectlError as error:
        return words in str(error)
    return False
