"""The Deployment of a revision: when its pods are replaced, and when they are left as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import InferenceService, a_served_version, a_service

from modelwright.common.resources import DEPLOYMENTS
from modelwright.engine.objects import ROOT_UID, uid


def deployment(service: InferenceService) -> Mapping[str, Any]:
    (found,) = service.all(DEPLOYMENTS).values()
    return found


def command(service: InferenceService, group: str) -> dict[str, str]:
    (container,) = deployment(service)["spec"]["template"]["spec"][group]
    _, *options = container["command"]
    return dict(zip(options[::2], options[1::2], strict=True))


def test_its_pods_say_all_that_a_lost_status_has_held() -> None:
    service = a_served_version()
    stable = service.part("stable") or {}

    server, pull = command(service, "containers"), command(service, "initContainers")

    assert server["--model-version"] == stable["version"]
    assert server["--model-digest"] == pull["--digest"] == words.digest()
    assert pull["--uri"] == stable["artifact"]["uri"]
    assert deployment(service)["metadata"]["labels"]["modelwright.dev/revision"] == stable["revision"]


@pytest.mark.parametrize(
    ("settings", "replaced"),
    [
        pytest.param({"image_pull_policy": "Always"}, True, id="other settings, the same image"),
        pytest.param(
            {"image_pull_policy": "Always", "serving_image": "serving:2"},
            False,
            id="another release, another image",
        ),
    ],
)
def test_pods_that_another_release_has_started_are_left_as_they_are(
    settings: dict[str, Any], replaced: bool
) -> None:
    service = a_served_version()
    before = deployment(service)["spec"]["template"]

    service.world.is_upgraded(**settings)
    service.settles()

    assert (deployment(service)["spec"]["template"] != before) == replaced


def test_pods_of_another_release_are_scaled_all_the_same() -> None:
    service = a_served_version()
    service.world.is_upgraded(serving_image="serving:2")

    service.changes(replicas=3).settles()

    assert deployment(service)["spec"]["replicas"] == 3


def test_one_that_is_made_again_leads_to_the_service_that_is_there() -> None:
    service = a_served_version()
    service.is_deleted_alone()
    again = a_service(service.world).settles()
    labels = deployment(again)["spec"]["template"]["metadata"]["labels"]
    assert labels[ROOT_UID] != uid(again.body), "its pods are those of before"

    service.world.drop(again.deployment(again.revision("stable")))
    again.settles()

    labels = deployment(again)["spec"]["template"]["metadata"]["labels"]
    assert labels[ROOT_UID] == uid(again.body)
