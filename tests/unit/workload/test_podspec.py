"""The parts of which all pods are made."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.checks import restricted_violations

from modelwright.common.settings import Settings
from modelwright.workload.podspec import claim_volume, container, empty_dir, failure_policy, mount, pod_spec
from modelwright.workload.podtemplate import training_template

SETTINGS = Settings(serving_image="serving:1", training_image="training:1", image_pull_secrets=("registry",))


def test_a_pod_of_these_parts_keeps_to_the_restricted_standard_and_has_no_token() -> None:
    step = container("fetch", "training:1", SETTINGS, resources={}, mounts=(mount("data", "/data"),))

    pod = pod_spec(
        training_template(SETTINGS), {}, (empty_dir("data"),), restartPolicy="Never", containers=[step]
    )

    assert restricted_violations(pod) == []
    assert pod["automountServiceAccountToken"] is False
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert [volume["name"] for volume in pod["volumes"]] == ["data", "tmp"]
    assert [mounted["mountPath"] for mounted in step["volumeMounts"]] == ["/data", "/tmp"]


def test_what_a_container_says_last_is_kept_even_if_it_only_writes_a_log() -> None:
    step = container("train", "team/train:1", SETTINGS, resources={}, mounts=(), env={"DEPTH": "3"})

    assert step["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert step["env"] == [{"name": "DEPTH", "value": "3"}]


def test_a_job_ends_with_a_step_whose_input_cannot_work_and_does_not_count_what_the_cluster_ended() -> None:
    rules = failure_policy("fetch", "train")["rules"]

    assert [rule["action"] for rule in rules] == ["FailJob", "FailJob", "Ignore"]
    assert [rule["onExitCodes"]["containerName"] for rule in rules[:2]] == ["fetch", "train"]
    assert {tuple(rule["onExitCodes"]["values"]) for rule in rules[:2]} == {(65,)}
    assert rules[2]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]


@pytest.mark.parametrize(("read_only", "extra"), [(True, {"readOnly": True}), (False, {})])
def test_what_is_only_read_says_so_in_the_volume_and_in_the_mount(
    read_only: bool, extra: dict[str, Any]
) -> None:
    assert claim_volume("data", "lake", read_only=read_only) == {
        "name": "data",
        "persistentVolumeClaim": {"claimName": "lake", **extra},
    }
    assert mount("data", "/data", read_only=read_only) == {"name": "data", "mountPath": "/data", **extra}
