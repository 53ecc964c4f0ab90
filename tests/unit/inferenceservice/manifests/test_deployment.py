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


OPTIONS = {"runSeconds": 5, "rowSharing": "Never", "maxRows": 100}


@pytest.mark.parametrize("spec", [{}, {"server": {}}])
def test_a_service_without_options_leaves_them_to_the_server(spec: dict[str, Any]) -> None:
    given = command(a_served_version(None, **spec), "containers")
    assert not {"--run-seconds", "--row-sharing", "--max-rows"} & given.keys()


def test_options_are_on_the_servers_command_line() -> None:
    given = command(a_served_version(server=OPTIONS), "containers")
    assert (given["--run-seconds"], given["--row-sharing"], given["--max-rows"]) == ("5", "never", "100")


def test_a_change_of_options_is_rolled_out_and_an_empty_one_is_none() -> None:
    service = a_served_version()
    before = service.revision("stable")
    assert service.changes(server={}).settles().revision("stable") == before

    service.changes(server=OPTIONS).serves()

    assert service.revision("stable") != before


def test_options_survive_a_lost_status() -> None:
    service = a_served_version(server=OPTIONS)
    pods = deployment(service)["spec"]["template"]
    before = service.revision("stable")

    service.world.api.edit(service.key, lambda body: body.update(status={"observedGeneration": -1}))
    service.world.watch()
    service.settles()

    assert (service.part("stable") or {})["server"] == OPTIONS
    assert service.revision("stable") == before
    assert deployment(service)["spec"]["template"] == pods


FEEDBACK = {"feedback": {"secretRef": {"name": "labels"}, "maxAgeSeconds": 3600}}


def test_keys_for_feedback_reach_the_server_alone_and_may_be_missing() -> None:
    pod = deployment(a_served_version(monitoring=FEEDBACK))["spec"]["template"]["spec"]

    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "feedback")
    assert volume["secret"] == {"secretName": "labels", "defaultMode": 0o440, "optional": True}
    mounted = {
        container["name"]: [mount["mountPath"] for mount in container["volumeMounts"]]
        for container in (*pod["initContainers"], *pod["containers"])
    }
    assert "/etc/modelwright/feedback" in mounted["server"]
    assert "/etc/modelwright/feedback" not in mounted["pull"]


def test_feedback_is_on_the_servers_command_line() -> None:
    given = command(a_served_version(monitoring=FEEDBACK), "containers")

    assert given["--feedback-keys"] == "/etc/modelwright/feedback"
    assert given["--feedback-max-age-seconds"] == "3600"


def test_feedback_makes_a_new_revision_and_drift_and_objectives_do_not() -> None:
    service = a_served_version()
    before = service.revision("stable")
    watched: dict[str, Any] = {"drift": {}, "slo": {"availability": 0.99}}
    assert service.changes(monitoring=watched).settles().revision("stable") == before

    service.changes(monitoring=FEEDBACK).serves()

    assert service.revision("stable") != before
    named = {"metrics": [{"name": "accuracy", "min": 0.9}], **FEEDBACK["feedback"]}
    after = service.revision("stable")
    assert service.changes(monitoring={"feedback": named}).settles().revision("stable") == after


def test_feedback_survives_a_lost_status() -> None:
    service = a_served_version(monitoring=FEEDBACK)
    before, pods = service.revision("stable"), deployment(service)["spec"]["template"]

    service.world.api.edit(service.key, lambda body: body.update(status={"observedGeneration": -1}))
    service.world.watch()
    service.settles()

    assert service.revision("stable") == before
    assert deployment(service)["spec"]["template"] == pods
