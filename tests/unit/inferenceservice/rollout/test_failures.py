"""A new revision that cannot work never has the traffic, and the one that has it keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.given import words
from unit.given.pods import Pod
from unit.given.resources import InferenceService, a_service, a_version, a_world

from modelwright.engine.objects import metadata

WAIT = 1000


def a_rollout(**spec: Any) -> InferenceService:
    """churn-1 has the traffic, churn-2 starts."""
    world = a_world()
    for name, letter in (("churn-1", "a"), ("churn-2", "b")):
        a_version(world, name, letter).is_verified(letter)
    service = a_service(world, **spec).serves(spec.get("replicas", 1))
    return service.changes(model={"version": "churn-2"}).settles()


def given_up(service: InferenceService, reason: str, *, again: bool = False) -> bool:
    """churn-2 is given up for that reason, or tried `again` later; of its pods one is left, and churn-1 has the
    traffic."""
    stable, canary = service.part("stable"), service.part("canary")
    assert stable is not None
    assert canary is not None
    assert (stable["version"], canary["version"], canary["state"]) == ("churn-1", "churn-2", "Failed")
    assert service.traffic == stable["revision"]
    assert service.deployed[canary["revision"]] == 1, "its log can be read"
    assert service.condition("Available")["status"] == "True"
    words = "; churn-1 keeps the traffic" + ("; it is tried again" if again else "")
    assert service.message.endswith(words)
    expected = (reason, reason, "InProgress" if again else "Failed")
    return (service.reason, canary["reason"], service.kstatus) == expected


@pytest.mark.parametrize("container", ["pull", "server"])
@pytest.mark.parametrize("again", [False, True], ids=["ended", "starts-again"])
def test_a_container_that_says_that_it_cannot_work_ends_the_rollout_at_once(
    container: str, again: bool
) -> None:
    service = a_rollout()
    pod = service.starts()
    said = json.dumps({"error": {"reason": "WarmupFailed", "message": "the model answers NaN"}})
    (pod.crashes if again else pod.exits)(container, 65, said)

    service.settles()

    assert given_up(service, "WarmupFailed")
    assert f"{container}: the model answers NaN" in service.message


def test_one_broken_pod_of_many_is_enough() -> None:
    service = a_rollout(replicas=3)
    service.starts().runs("server")
    service.starts().exits("pull", 65, words.error("pull", "DigestMismatch"))
    service.has_ready(2)

    assert given_up(service.settles(), "DigestMismatch")


def _image(pod: Pod) -> None:
    pod.waits("pull", "ImagePullBackOff")


def _unschedulable(pod: Pod) -> None:
    pod.unschedulable("0/3 nodes are available: 3 Insufficient memory.")


def _memory(pod: Pod) -> None:
    pod.ends("pull", {}).crashes("server", 137, reason="OOMKilled")


def _storage(pod: Pod) -> None:
    pod.crashes("pull", 75, words.error("pull", "StorageFailed"))


def _silent(pod: Pod) -> None:
    pod.ends("pull", {}).runs("server")


CAUSES: dict[str, Callable[[Pod], None]] = {
    "ImagePullFailed": _image,
    "Unschedulable": _unschedulable,
    "OutOfMemory": _memory,
    "StorageFailed": _storage,
}


@pytest.mark.parametrize("reason", list(CAUSES))
def test_what_may_pass_shows_and_ends_the_rollout_only_at_its_deadline(reason: str) -> None:
    service = a_rollout(rollout={"progressDeadlineSeconds": 600})
    CAUSES[reason](service.starts())
    service.settles()
    assert (service.reason, service.kstatus) == (reason, "InProgress")
    requeue_at = service.world.plan(service.key).requeue_at
    assert requeue_at is not None

    service.world.after(WAIT)

    assert service.world.now > requeue_at
    assert given_up(service.settles(), reason, again=reason != "OutOfMemory")
    assert "not ready within progressDeadlineSeconds: 600" in service.message


def test_what_may_pass_and_does_is_promoted() -> None:
    service = a_rollout()
    pod = service.starts().waits("pull", "ImagePullBackOff")
    service.settles()
    pod.ends("pull", {}).runs("server")

    service.has_ready(1).settles()

    assert (service.version("stable"), service.is_ready) == ("churn-2", True)


@pytest.mark.parametrize("pods", [0, 1])
def test_a_rollout_that_just_does_not_get_ready_ends_at_its_deadline(pods: int) -> None:
    service = a_rollout()
    for _ in range(pods):
        _silent(service.starts())
    service.settles()
    service.world.after(WAIT)

    assert given_up(service.settles(), "ProgressDeadlineExceeded", again=True)


def test_a_revision_that_is_ready_is_promoted_even_if_that_is_seen_after_the_deadline() -> None:
    service = a_rollout().has_ready(1)
    service.world.after(WAIT)

    assert service.settles().version("stable") == "churn-2"


def test_what_cannot_work_is_tried_again_only_when_the_spec_changes() -> None:
    service = a_rollout()
    service.starts().exits("pull", 65, words.error("pull", "DigestMismatch"))
    service.settles()
    service.world.after(100_000)
    assert given_up(service.settles(), "DigestMismatch")
    service.world.after(2)

    service.changes(rollout={"progressDeadlineSeconds": 900}).settles()
    assert (service.reason, service.version("canary")) == ("RevisionStarting", "churn-2")
    service.has_ready(1).settles()

    assert (service.version("stable"), service.is_ready) == ("churn-2", True)


def test_pods_that_the_failed_try_left_behind_do_not_end_the_next_one() -> None:
    service = a_rollout()
    canary = service.revision("canary")
    service.starts().exits("pull", 65, words.error("pull", "DigestMismatch"))
    service.world.after(2)
    service.settles()
    first = metadata(service.world.api.objects[service.deployment(canary)])["uid"]

    service.changes(rollout={"progressDeadlineSeconds": 900}).settles()

    assert service.reason == "RevisionStarting"
    second = metadata(service.world.api.objects[service.deployment(canary)])["uid"]
    assert first != second, "its pods are new"


def test_a_revert_after_a_failure_is_ready_again() -> None:
    service = a_rollout()
    service.starts().exits("pull", 65, words.error("pull", "DigestMismatch"))
    service.settles()

    service.changes(model={"version": "churn-1"}).settles()

    assert (service.is_ready, service.part("canary")) == (True, None)


def test_scaling_while_a_failed_revision_is_remembered_scales_the_stable_one_and_does_not_try_it_again() -> (
    None
):
    service = a_rollout()
    service.starts().exits("pull", 65, words.error("pull", "DigestMismatch"))
    service.settles()
    service.world.after(2)

    service.changes(replicas=2).settles()

    assert service.status["canary"]["state"] == "Failed"
    assert service.deployed == {service.revision("stable"): 2, service.revision("canary"): 1}
    assert service.traffic == service.revision("stable")


@pytest.mark.parametrize("reason", [*CAUSES, "RevisionStarting"])
def test_a_first_revision_is_never_given_up_for_what_may_pass(reason: str) -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world).settles()
    pod = service.starts()
    CAUSES.get(reason, _silent)(pod)
    service.settles()

    world.after(100_000)

    assert (service.settles().reason, service.kstatus) == (reason, "InProgress")
    assert service.deployed == {service.revision("canary"): 1}
    pod.ends("pull", {}).runs("server")
    assert service.has_ready(1).settles().is_ready


@pytest.mark.parametrize("stable", [False, True])
def test_a_model_file_that_is_not_there_is_waited_for(stable: bool) -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_rollout() if stable else a_service(world).settles()
    pod = service.starts().crashes("pull", 65, words.error("pull", "ArtifactNotFound"))

    assert (service.settles().reason, service.kstatus) == ("ArtifactNotFound", "InProgress")
    pod.ends("pull", {}).runs("server")

    assert service.has_ready(1).settles().is_ready


def test_what_the_cluster_kept_from_starting_is_tried_again_with_growing_pauses() -> None:
    service = a_rollout()
    _unschedulable(service.starts())
    service.settles()
    pauses = []
    for _ in range(6):
        service.world.after(WAIT)
        assert given_up(service.settles(), service.reason, again=True)
        due = service.world.plan(service.key).requeue_at
        assert due is not None
        pauses.append(round((due - service.world.now).total_seconds() / 60))
        service.world.after((due - service.world.now).total_seconds() + 1)
        assert (service.settles().reason, service.status["canary"]["state"]) == (
            "RevisionStarting",
            "Progressing",
        )

    assert pauses == [5, 10, 20, 40, 60, 60]
    assert service.status["canary"]["attempts"] == 6
    service.has_ready(1).settles()
    assert (service.version("stable"), service.is_ready) == ("churn-2", True)


def test_a_changed_spec_tries_at_once_and_begins_the_pauses_anew() -> None:
    service = a_rollout()
    service.world.after(WAIT)
    assert given_up(service.settles(), "ProgressDeadlineExceeded", again=True)

    service.changes(rollout={"progressDeadlineSeconds": 900}).settles()

    assert (service.status["canary"]["state"], service.status["canary"].get("attempts")) == (
        "Progressing",
        None,
    )


def test_the_pod_that_was_kept_is_part_of_the_next_try_where_it_has_become_ready() -> None:
    service = a_rollout()
    service.world.after(WAIT)
    service.settles().has_ready(1).settles()
    assert given_up(service, "ProgressDeadlineExceeded", again=True)

    service.world.after(WAIT)

    assert service.settles().version("stable") == "churn-2"


def test_a_pod_that_was_kept_answers_where_nobody_else_does() -> None:
    service = a_rollout()
    service.world.after(WAIT)
    service.settles().has_ready(1).has_ready(0, "stable").settles()

    assert service.version("stable") == "churn-2"


def test_a_first_deployment_that_fails_says_so_and_has_no_traffic() -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world).settles()
    service.starts().exits("pull", 65, words.error("pull", "DigestMismatch"))

    service.settles()

    assert (service.reason, service.kstatus) == ("DigestMismatch", "Failed")
    assert list(service.deployed.values()) == [1], "its log can be read"
    assert service.condition("Available")["reason"] == "NotDeployed"


def test_pods_of_the_stable_revision_that_fail_show_and_are_never_given_up() -> None:
    service = a_rollout().changes(model={"version": "churn-1"}).settles()
    pod = service.starts("stable").ends("pull", {}).crashes("server", 137, reason="OOMKilled")
    service.has_ready(0, "stable").settles()
    assert (service.reason, service.kstatus) == ("OutOfMemory", "InProgress")
    assert service.condition("Available")["status"] == "False"
    service.world.after(100_000)

    assert service.settles().traffic == service.revision("stable")
    assert service.deployed == {service.revision("stable"): 1}
    pod.runs("server")
    assert service.has_ready(1, "stable").settles().is_ready


def test_a_broken_stable_revision_does_not_block_a_fix() -> None:
    service = a_rollout().has_ready(0, "stable").settles()

    assert service.has_ready(1).settles().version("stable") == "churn-2"


def test_a_deployment_that_is_deleted_while_it_starts_is_made_again_and_not_promoted() -> None:
    service = a_rollout()
    canary = service.revision("canary")
    service.world.drop(service.deployment(canary))

    service.settles()

    assert canary in service.deployed
    assert service.version("stable") == "churn-1"
    assert service.has_ready(1).settles().version("stable") == "churn-2"
