"""What the API server or a quota refuses stands in Ready within seconds, and passes when its cause does."""

from __future__ import annotations

from support.kubectl import Kubectl, message
from support.models import valid_model
from support.rollouts import GOOD, MARKS, publish, serve, service

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
    kubectl.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=AGAIN)


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
