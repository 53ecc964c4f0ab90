"""Runs that sign: only publish mounts the key, and a Secret that is not there is named."""

from __future__ import annotations

from typing import Any

from unit.given.resources import TrainingJob, a_training_job, a_world

SIGNING = {"keySecretRef": {"name": "churn-key", "key": "private.pem"}}


def pod_of(job: TrainingJob) -> dict[str, Any]:
    spec: dict[str, Any] = job.world.api.objects[job.job_key]["spec"]["template"]["spec"]
    return spec


def test_only_publish_mounts_the_key() -> None:
    pod = pod_of(a_training_job(a_world(), signing=SIGNING).settles())
    mounted = {
        each["name"]: [mount for mount in each["volumeMounts"] if mount["name"] == "signing"]
        for each in (*pod["initContainers"], *pod["containers"])
    }
    assert mounted["fetch"] == mounted["train"] == []
    assert mounted["publish"] == [
        {"name": "signing", "mountPath": "/etc/modelwright/signing", "readOnly": True}
    ]
    (volume,) = [each for each in pod["volumes"] if "secret" in each]
    # Not optional: the pod waits for the Secret before the training, not after it.
    assert volume["secret"] == {
        "secretName": "churn-key", "defaultMode": 0o440, "items": [{"key": "private.pem", "path": "key.pem"}]
    }  # fmt: skip
    (publish,) = pod["containers"]
    assert publish["env"] == [{"name": "MODELWRIGHT_SIGN", "value": "key private.pem of Secret churn-key"}]


def test_without_a_key_there_is_no_volume() -> None:
    pod = pod_of(a_training_job(a_world()).settles())
    assert not [each for each in pod["volumes"] if "secret" in each]


def test_a_pod_that_does_not_start_names_the_secret_that_it_needs() -> None:
    job = a_training_job(a_world(), signing=SIGNING).settles()
    job.pod()
    job.settles()
    assert job.message.endswith("starts its pod, which needs the key private.pem of Secret churn-key")


def test_signing_is_no_part_of_the_recipe() -> None:
    job = a_training_job(a_world())
    job.succeeds()
    job.changes(signing=SIGNING).settles()
    assert job.run["number"] == 1
