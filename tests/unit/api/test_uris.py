"""The uris of data: what the API takes as one."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from modelwright.api.stores import Store
from modelwright.api.trainingjob import Data, Holdout

DVC = {"configMapRef": {"name": "repo", "key": "dvc.lock"}, "path": "data/churn.csv"}


def data(uri: str, **more: Any) -> Data:
    """Data of a uri."""
    return Data.model_validate({"uri": uri, "target": "y", **more})


@pytest.mark.parametrize(
    "uri", ["s3://remote", "gs://remote", "az://remote", "pvc://remote", "s3://remote/dvc"]
)
def test_a_remote_of_dvc_may_be_a_whole_bucket_or_claim(uri: str) -> None:
    assert data(uri, dvc=DVC).uri == uri


@pytest.mark.parametrize(
    "uri", ["s3://", "pvc://lake/", "oci://registry.corp", "configmap://rows", "s3://lake/../a"]
)
def test_a_uri_that_names_nothing_that_can_be_read_is_refused(uri: str) -> None:
    with pytest.raises(ValidationError):
        data(uri, dvc=DVC)


@pytest.mark.parametrize("uri", ["s3://lake", "pvc://lake"])
def test_a_hold_out_is_never_a_whole_bucket_or_claim(uri: str) -> None:
    with pytest.raises(ValidationError):
        Holdout.model_validate({"uri": uri})


@pytest.mark.parametrize(
    "endpoint",
    ["https://s3.corp:9000", "http://10.0.0.1/devstoreaccount1", "https://[fd00::1]:9000", "https://h"],
)
def test_an_endpoint_is_a_host_and_a_port(endpoint: str) -> None:
    assert Store.model_validate({"endpoint": endpoint}).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    ["https://[::1", "https://::1", "https://h:", "https://h:1:2", "https://h]", "https://user@h", "s3.corp"],
)
def test_an_endpoint_that_no_step_could_use_is_refused(endpoint: str) -> None:
    for part in ({"endpoint": endpoint}, {"identity": {"roleArn": "arn", "stsEndpoint": endpoint}}):
        with pytest.raises(ValidationError):
            Store.model_validate(part)
